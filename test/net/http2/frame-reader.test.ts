import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type DataSink, FrameReader, type FrameSink } from '../../../net/http2/frame-reader.ts'
import { frame, preface } from '../../support/http2-frames.ts'

/** What was read: frames, and DATA joined. */
function reading(): { reader: FrameReader; read: string[] } {
  const read: string[] = []
  let parts: Buffer[] = []
  const sink: FrameSink & DataSink = {
    begins: type => type < 10,
    frame: (type, flags, stream, bytes, from, to) =>
      void read.push(`${type} ${flags} ${stream} ${bytes.toString('hex', from, to)}`),
    data: (bytes, from, to) => void parts.push(Buffer.from(bytes.subarray(from, to))),
    dataEnds(stream, isLast) {
      read.push(`data ${stream} ${isLast} ${Buffer.concat(parts).toString('hex')}`)
      parts = []
    },
  }
  return { reader: new FrameReader(sink, sink), read }
}

const bytes = fc.uint8Array({ maxLength: 60 }).map(array => Buffer.from(array))
const one = fc.oneof(
  fc
    .record({ flags: fc.constantFrom(0, 1), stream: fc.nat(100), content: bytes })
    .map(({ flags, stream, content }) => ({
      bytes: frame(0, flags, stream, content),
      read: `data ${stream} ${flags === 1} ${content.toString('hex')}`,
    })),
  fc.record({ stream: fc.nat(100), content: bytes, padding: fc.nat(255) }).map(({ stream, content, padding }) => ({
    bytes: frame(0, 8, stream, Buffer.concat([Buffer.from([padding]), content, Buffer.alloc(padding, 1)])),
    read: `data ${stream} false ${content.toString('hex')}`,
  })),
  fc
    .record({ type: fc.integer({ min: 1, max: 255 }), flags: fc.nat(255), stream: fc.nat(100), content: bytes })
    .map(({ type, flags, stream, content }) => ({
      bytes: frame(type, flags, stream, content),
      read: type < 10 ? `${type} ${flags} ${stream} ${content.toString('hex')}` : undefined,
    })),
)

test('frames are the same wherever what brings them is cut', () => {
  fc.assert(
    fc.property(fc.array(one, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 40 })), (frames, sizes) => {
      const all = Buffer.concat([preface().subarray(0, 24), ...frames.map(one => one.bytes)])
      const { reader, read } = reading()
      for (let from = 0, i = 0; from < all.length; i++) {
        const piece = Buffer.from(all.subarray(from, from + (sizes[i] ?? 1000)))
        for (let at = 0; at < piece.length;) {
          const next = reader.next(piece, at)
          expect(next).toBeGreaterThan(at)
          at = next
        }
        from += piece.length
      }
      expect(read).toEqual(frames.flatMap(one => one.read ?? []))
    }),
    { numRuns: 300 },
  )
})
