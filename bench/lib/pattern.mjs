/** Seeds of the two directions of a connection, so that an echo is not taken for an answer. */
export const FROM_CLIENT = 17;
export const FROM_SERVER = 91;

/** `length` bytes of an endless pattern, from `position` on, that looks the same at no two places. */
export function patternBytes(seed, position, length) {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(seed, position + i);
  return bytes;
}

/** Whether `bytes` continue the pattern at `position`. */
export function continuesPattern(seed, position, bytes) {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== byteAt(seed, position + i)) return false;
  return true;
}

/** A mix of the position's bits, so that no two places look alike. */
function byteAt(seed, position) {
  let bits = Math.imul((position + seed) ^ (position >>> 15), 0x2c1b3c6d);
  bits = Math.imul(bits ^ (bits >>> 12), 0x297a2d39);
  return (bits ^ (bits >>> 15)) & 255;
}
