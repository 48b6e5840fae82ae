// Strings: concatenation, slices, joins, template literals.
(() => {
  let text = '';
  let hash = 0;
  for (let i = 0; i < 90000; i++) {
    text += `${i},`;
    if (text.length > 2000) text = text.slice(1500).toUpperCase();
    hash = (Math.imul(hash, 33) + text.charCodeAt(i % text.length)) | 0;
  }
  const words = [];
  for (let i = 0; i < 45000; i++) words.push(i.toString(36).padStart(5, '0'));
  return hash + words.join(' ').split(' ').reverse().join('-').length;
})()
