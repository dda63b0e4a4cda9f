/** Bytes that nobody sends who means well. */

/** `unit` again and again. */
export function repeated(unit: Buffer, times: number): Buffer {
  const out = Buffer.alloc(unit.length * times)
  for (let at = 0; at < out.length; at += unit.length) unit.copy(out, at)
  return out
}

/** A length-delimited field of any length. */
export function lengthField(tag: number, content: Buffer): Buffer {
  const out = [tag]
  let n = content.length
  for (; n > 0x7f; n >>>= 7) out.push((n & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...out, n]), content])
}
