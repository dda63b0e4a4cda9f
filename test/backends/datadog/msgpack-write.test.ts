import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MsgpackWriter } from '../../../backends/datadog/msgpack-write.ts'
import { readMsgpack } from '../../support/msgpack.ts'

const written = (write: (out: MsgpackWriter) => void): Buffer => {
  const out = new MsgpackWriter(1, undefined)
  write(out)
  return out.done()
}

test.each<[number | bigint, string]>([
  [0, '00'],
  [127, '7f'],
  [128, 'cc80'],
  [256, 'cd0100'],
  [65_536, 'ce00010000'],
  [4_294_967_296, 'cf0000000100000000'],
  [2n ** 64n - 1n, 'cfffffffffffffffff'],
  [-1, 'd3ffffffffffffffff'],
])('%s takes as few bytes as it needs', (n, hex) => {
  expect(written(out => out.integer(n)).toString('hex')).toBe(hex)
})

test.each([0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536])('%s of anything', size => {
  const text = Buffer.alloc(size, 'x')
  expect(readMsgpack(written(out => out.text(text)))).toBe(text.toString())
  expect(readMsgpack(written(out => out.binary(text)))).toEqual(text)
  const list = written(out => {
    out.list(size)
    for (let i = 0; i < size; i++) out.boolean(i % 2 === 0)
  })
  expect(readMsgpack(list)).toEqual(Array.from({ length: size }, (_, i) => i % 2 === 0))
  const map = written(out => {
    out.map(size)
    for (let i = 0; i < size; i++) {
      out.text(Buffer.from(`k${i}`))
      out.integer(i)
    }
  })
  expect(readMsgpack(map)).toEqual(Object.fromEntries(Array.from({ length: size }, (_, i) => [`k${i}`, i])))
})

test('any whole number is read back', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), n => {
      expect(BigInt(readMsgpack(written(out => out.integer(n))) as number)).toBe(n)
      const small = Number(BigInt.asIntN(53, n))
      expect(Number(readMsgpack(written(out => out.integer(small))))).toBe(small)
    }),
  )
})
