/** MessagePack read back by its specification, without our writer: maps become objects. */
export function readMsgpack(bytes: Buffer): unknown {
  let at = 0
  const take = (n: number): Buffer => {
    if (at + n > bytes.length) throw new Error(`cut off at byte ${at}`)
    return bytes.subarray(at, (at += n))
  }
  const unsigned = (n: number): number => take(n).readUIntBE(0, n)
  const list = (n: number): unknown[] => Array.from({ length: n }, () => value())
  const map = (n: number): Record<string, unknown> =>
    Object.fromEntries(Array.from({ length: n }, () => [value(), value()]))
  const text = (n: number): string => new TextDecoder('utf8', { fatal: true }).decode(take(n))
  const byTag: Record<number, () => unknown> = {
    0xc0: () => null,
    0xc2: () => false,
    0xc3: () => true,
    0xc4: () => take(unsigned(1)),
    0xc5: () => take(unsigned(2)),
    0xc6: () => take(unsigned(4)),
    0xcb: () => take(8).readDoubleBE(),
    0xcc: () => unsigned(1),
    0xcd: () => unsigned(2),
    0xce: () => unsigned(4),
    0xcf: () => take(8).readBigUInt64BE(),
    0xd3: () => take(8).readBigInt64BE(),
    0xd9: () => text(unsigned(1)),
    0xda: () => text(unsigned(2)),
    0xdb: () => text(unsigned(4)),
    0xdc: () => list(unsigned(2)),
    0xdd: () => list(unsigned(4)),
    0xde: () => map(unsigned(2)),
    0xdf: () => map(unsigned(4)),
  }
  const value = (): unknown => {
    const tag = unsigned(1)
    if (tag < 0x80) return tag
    if (tag < 0x90) return map(tag & 0x0f)
    if (tag < 0xa0) return list(tag & 0x0f)
    if (tag < 0xc0) return text(tag & 0x1f)
    if (tag >= 0xe0) return tag - 256
    const read = byTag[tag]
    if (read === undefined) throw new Error(`tag ${tag}`)
    return read()
  }
  const whole = value()
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes too many`)
  return whole
}
