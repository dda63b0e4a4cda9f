/** Files in one archive, as `tar` reads it (ustar). */

const blockSize = 512

/** The archive; `at` is when it was made, in milliseconds since the epoch. Names have less than 100 characters of ASCII. */
export function tarOf(files: ReadonlyMap<string, Buffer>, at: number): Buffer {
  const blocks = [...files].flatMap(([name, content]) => [headOf(name, content.length, at), padded(content)])
  // Two empty blocks end it.
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockSize)])
}

function padded(content: Buffer): Buffer {
  const rest = content.length % blockSize
  return rest === 0 ? content : Buffer.concat([content, Buffer.alloc(blockSize - rest)])
}

/** Numbers are octal, each with a zero byte behind it. */
function headOf(name: string, size: number, at: number): Buffer {
  const head = Buffer.alloc(blockSize)
  const number = (value: number, from: number, length: number) =>
    head.write(value.toString(8).padStart(length - 1, '0'), from, 'latin1')
  head.write(name, 0, 'latin1')
  number(0o600, 100, 8)
  number(0, 108, 8)
  number(0, 116, 8)
  number(size, 124, 12)
  number(Math.floor(at / 1000), 136, 12)
  head.write('0', 156, 'latin1')
  head.write('ustar\u000000', 257, 'latin1')
  // The sum is made with spaces where it will stand.
  head.fill(' ', 148, 156)
  let sum = 0
  for (const byte of head) sum += byte
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return head
}
