// Sorting with a comparator, map and filter: C that calls JavaScript that C called.
(() => {
  let seed = 42;
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff);
  let hash = 0;
  for (let round = 0; round < 14; round++) {
    const numbers = Array.from({ length: 6000 }, random);
    numbers.sort((a, b) => a - b);
    const odd = numbers.filter((n) => n & 1).map((n) => n >> 3);
    hash = (Math.imul(hash, 31) + odd[odd.length >> 1] + odd.length) | 0;
  }
  return hash;
})()
