import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  deflateRawSync,
  deflateSync,
  gunzipSync,
  gzipSync,
  inflateSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib'
import { snappyCompress, snappyDecompress } from '@platformatic/wasm-utils/bundled'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compress, type Encoding, encodingOf } from '../../net/compression.ts'
import { Inflation } from '../../net/inflation.ts'
import { compressSnappy, inflateSnappy, TooLargeError } from '../../net/snappy.ts'

const text = Buffer.from('a span is a unit of work, and a trace is a tree of spans. '.repeat(400))
const large = Buffer.concat([text, randomBytes(200_000), text])
const larger = Buffer.concat([large, large])
const mebibyte = 1 << 20
const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
const inflate = (encoding: Encoding, body: Buffer, limit: number): Buffer | Promise<Buffer> => {
  const inflation = new Inflation(encoding, body)
  return inflation.isShort(limit) ? inflation.runNow(limit) : inflation.runLater(limit)
}
const all: Encoding[] = ['gzip', 'deflate', 'zstd', 'snappy', 'x-snappy-framed']

test.each(all.flatMap(encoding => [[encoding, 'small', text] as const, [encoding, 'large', large] as const]))(
  '%s gives a %s body back',
  async (encoding, _size, body) => {
    const packed = await compress(encoding, undefined, body)
    expect((await inflate(encoding, packed, 4 * mebibyte)).equals(body)).toBe(true)
    expect(packed.length).toBeLessThan(body.length)
  },
)

test.each([
  ['gzip', gunzipSync],
  ['deflate', inflateSync],
  ['zstd', zstdDecompressSync],
  ['snappy', snappyDecompress],
] as const)('what %s compresses, others can read', async (encoding, read) => {
  for (const body of [Buffer.alloc(0), Buffer.from('x'), text, large]) {
    if (encoding === 'snappy' && body.length === 0) continue
    expect(read(await compress(encoding, undefined, body)).equals(body)).toBe(true)
  }
})

test.each([
  [
    'gzip',
    'of several members',
    Buffer.concat([gzipSync(text), gzipSync('short')]),
    Buffer.concat([text, Buffer.from('short')]),
  ],
  [
    'zstd',
    'of several frames',
    Buffer.concat([zstdCompressSync(text), zstdCompressSync('short')]),
    Buffer.concat([text, Buffer.from('short')]),
  ],
  ['deflate', 'without the zlib header', deflateRawSync(text), text],
  ['deflate', 'with the zlib header', deflateSync(text), text],
  ['gzip', 'of nothing', gzipSync(''), Buffer.alloc(0)],
  ['zstd', 'with a frame to skip', Buffer.concat([skipped, zstdCompressSync(text)]), text],
  ['snappy', 'in the framing format', await compress('x-snappy-framed', undefined, text), text],
] as const)('%s %s is read', async (encoding, _what, packed, body) => {
  expect((await inflate(encoding, packed, mebibyte)).equals(body)).toBe(true)
})

test.each(all)('%s stops at the limit, at once and on the thread pool', async encoding => {
  for (const size of [mebibyte, 24 * mebibyte]) {
    const bomb = await compress(encoding, undefined, Buffer.alloc(size))
    expect(await inflate(encoding, bomb, size)).toHaveLength(size)
    await expect((async () => inflate(encoding, bomb, size - 1))()).rejects.toThrow(TooLargeError)
    await expect((async () => inflate(encoding, bomb, 100))()).rejects.toThrow(TooLargeError)
  }
})

test.each(all)('%s that is cut off or broken is an error and nothing else', async encoding => {
  const packed = await compress(encoding, undefined, text)
  const cuts = Array.from({ length: Math.min(packed.length, 60) }, (_, i) => Math.floor((i * packed.length) / 60))
  for (const cut of cuts) {
    const result = await attempt(encoding, packed.subarray(0, cut))
    // Nothing at all is what some formats make of nothing.
    if (cut > 0 || result instanceof Error) expect(result, `cut at ${cut}`).toBeInstanceOf(Error)
  }
  for (const at of cuts) {
    const broken = Buffer.from(packed)
    broken[at] ^= 0xff
    await attempt(encoding, broken)
  }
})

test.each(['gzip', 'deflate', 'zstd', 'snappy'] as const)(
  '%s followed by something else is refused',
  async encoding => {
    const packed = await compress(encoding, undefined, text)
    expect(await attempt(encoding, Buffer.concat([packed, Buffer.from('and then something')]))).toBeInstanceOf(Error)
  },
)

async function attempt(encoding: Encoding, body: Buffer): Promise<Buffer | Error> {
  try {
    return await inflate(encoding, body, mebibyte)
  } catch (error) {
    return error as Error
  }
}

test('random bytes in place of snappy are an error or a body, and good blocks are read afterwards', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      try {
        expect(inflateSnappy(Buffer.from(bytes), mebibyte).length).toBeLessThanOrEqual(mebibyte)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
    }),
    { numRuns: 2000 },
  )
  expect(inflateSnappy(compressSnappy(text), mebibyte).equals(text)).toBe(true)
})

test('nothing is compressed at any time, also after much was', () => {
  // In a process of its own: in this one others may have used the module, and its memory grows only once.
  const url = pathToFileURL(join(import.meta.dirname, '../../net/snappy.ts')).href
  const script = `
    import { randomBytes } from 'node:crypto'
    import { compressSnappy, inflateSnappy } from '${url}'
    for (const size of [0, 20 << 20, 0, 100, 0]) {
      const body = randomBytes(size)
      if (!inflateSnappy(compressSnappy(body), size).equals(body)) throw new Error(String(size))
    }`
  execFileSync(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' })
})

test('snappy blocks of an independent compressor are read', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'bc', 'defg', 'hijklmnop', '\0'.repeat(70))), parts => {
      const body = Buffer.from(parts.join(''))
      if (body.length === 0) return
      expect(inflateSnappy(snappyCompress(body), body.length).equals(body)).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['a copy from before the start', [4, 0b0000_0001, 9]],
  ['an offset of nothing', [5, 0, 65, 0b0000_0001, 0]],
  ['a literal beyond the end of the input', [9, 0b0010_0000, 65]],
  ['a literal beyond the announced size', [1, 0b0000_0100, 65, 66]],
  ['less than announced', [9, 0, 65]],
  ['a literal whose length is cut off', [9, 0xf4, 1]],
  ['a size of more than five bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 1]],
  ['a size that so few bytes cannot have', [0xff, 0xff, 0x3f, 0, 65]],
])('snappy with %s is refused', (_what, bytes) => {
  expect(() => inflateSnappy(Buffer.from(bytes), mebibyte)).toThrow()
})

test('a wrong checksum in a snappy frame is refused', async () => {
  const packed = Buffer.from(await compress('x-snappy-framed', undefined, text))
  packed[14] ^= 1
  expect(() => inflate('x-snappy-framed', packed, mebibyte)).toThrow('checksum')
})

test.each(['gzip', 'zstd', 'snappy', 'x-snappy-framed'] as const)(
  '%s says how large it inflates to',
  async encoding => {
    for (const size of [40, 255, 256, 70_000, 300_000]) {
      const body = larger.subarray(0, size)
      expect(new Inflation(encoding, await compress(encoding, undefined, body)).hint).toBe(size)
    }
  },
)

test.each(all)('what %s inflates to holds no more memory than it is long', async encoding => {
  for (const body of [Buffer.from('short'), text, large]) {
    const out = await inflate(encoding, await compress(encoding, undefined, body), 4 * mebibyte)
    expect(out.buffer.byteLength).toBeLessThanOrEqual(body.length + 64)
  }
})

test.each(['gzip', 'deflate', 'zstd'] as const)('what %s was inflated through is freed with it', async encoding => {
  const size = 12 * mebibyte
  const packed = await compress(encoding, undefined, Buffer.alloc(size))
  const before = process.memoryUsage().arrayBuffers
  let made = 0
  for (let i = 0; i < 8; i++) {
    const out = await new Inflation(encoding, packed).runLater(size)
    made += out.length
    ;(out.buffer as ArrayBuffer).transfer(0)
  }
  expect(made).toBe(8 * size)
  // Each went through a piece of a mebibyte.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * mebibyte)
})

test.each([
  ['gzip', 'gzip'],
  ['GZIP', 'gzip'],
  ['zlib', 'deflate'],
  ['deflate', 'deflate'],
  ['br', undefined],
  ['gzip, gzip', undefined],
])('encoding %s is %s', (name, encoding) => {
  expect(encodingOf(name)).toBe(encoding)
})
