/**
 * Compression of bodies. Small ones are done at once, large ones on the thread pool, where a large body costs half as
 * much of the main thread and a small one costs more.
 */
import { constants, deflate, deflateSync, gzip, gzipSync, zstdCompress, zstdCompressSync } from 'node:zlib'
import { promisify } from 'node:util'
import { compressFramed, compressSnappy } from './snappy.ts'

/** Ways a body can be compressed. */
export type Encoding = 'gzip' | 'deflate' | 'zstd' | 'snappy' | 'x-snappy-framed'

const names = new Map<string, Encoding>([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['zlib', 'deflate'],
  ['zstd', 'zstd'],
  ['snappy', 'snappy'],
  ['x-snappy-framed', 'x-snappy-framed'],
])

/** The encoding of a header value; undefined when it is not known. */
export function encodingOf(name: string): Encoding | undefined {
  return names.get(name) ?? names.get(name.toLowerCase().trim())
}

/** Bodies from this many bytes on are worked on by another thread. */
const asyncFrom = 65_536

const async = {
  gzip: promisify<Uint8Array, object, Buffer>(gzip),
  deflate: promisify<Uint8Array, object, Buffer>(deflate),
  zstdCompress: promisify<Uint8Array, object, Buffer>(zstdCompress),
}

/** HTTP's deflate is the zlib format; some senders leave its header away. */
export function isZlib(body: Buffer): boolean {
  return body.length >= 2 && (body[0] & 0x0f) === 8 && ((body[0] << 8) | body[1]) % 31 === 0
}

/** Compresses `body`; without a level, at what is the best use of CPU for telemetry. */
export function compress(encoding: Encoding, level: number | undefined, body: Buffer): Buffer | Promise<Buffer> {
  const small = body.length < asyncFrom
  switch (encoding) {
    case 'gzip':
    case 'deflate': {
      // With more memory large bodies are cut into fewer blocks: a seventh less time. Small ones would only have it cleared.
      const options = { level: level ?? 1, memLevel: small ? 8 : 9, chunkSize: chunkFor(body) }
      if (encoding === 'gzip') return small ? gzipSync(body, options) : async.gzip(body, options)
      return small ? deflateSync(body, options) : async.deflate(body, options)
    }
    case 'zstd': {
      const options = {
        params: { [constants.ZSTD_c_compressionLevel]: level ?? 1 },
        pledgedSrcSize: body.length,
        chunkSize: chunkFor(body),
      }
      return small ? zstdCompressSync(body, options) : async.zstdCompress(body, options)
    }
    case 'snappy':
      return compressSnappy(body)
    case 'x-snappy-framed':
      return compressFramed(body)
  }
}

/** Telemetry shrinks to a quarter or less; what does not takes further chunks. */
function chunkFor(body: Buffer): number {
  return Math.max(1024, body.length >>> 2)
}
