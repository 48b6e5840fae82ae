// Arithmetic in a loop, without calls.
(() => {
  let hash = 17;
  for (let i = 0; i < 600000; i++) {
    hash = (Math.imul(hash, 31) + (i & 0xff)) | 0;
    if (hash & 1) hash ^= i;
  }
  return hash;
})()
