// Regular expressions, with a function as the replacement: QuickJS's second interpreter.
(() => {
  const text = 'The quick brown fox (born 2019-03-14) jumped over 1,234 lazy dogs; mail fox@example.org. '.repeat(20);
  let total = 0;
  for (let round = 0; round < 120; round++) {
    total += text.match(/\b[a-z]+\b/gi).length;
    total += text.replace(/(\d{4})-(\d\d)-(\d\d)/g, (_, y, m, d) => `${d}.${m}.${y.slice(2)}`).length;
    total += (text.match(/(?:[a-z]+)@(?:[a-z]+\.)+[a-z]{2,3}/g) ?? []).length;
    total += text.split(/[\s,;.]+/).length + round;
  }
  return total;
})()
