/** Long answers, for readers of which some are slow. */
import { Readable } from 'node:stream'

/** Milliseconds a reader may take before anything is asked of it. */
const grace = 30_000
/** Bytes a second that it must take from then on. */
const leastRate = 16 * 1024

/**
 * The chunks as a stream that holds no more of them than one or two. It breaks off when its reader takes less than the least
 * rate, not counting the time that the chunks take to be made: whoever reads for ever holds what is read.
 */
export function paced(chunks: AsyncIterable<Buffer>, terms: { grace?: number; leastRate?: number } = {}): Readable {
  const rules = { grace, leastRate, ...terms }
  async function* watched(): AsyncGenerator<Buffer, void> {
    let waited = 0
    let bytes = 0
    for await (const chunk of chunks) {
      bytes += chunk.length
      const from = performance.now()
      const patience = rules.grace + (bytes / rules.leastRate) * 1000 - waited
      const tooSlow = () => stream.destroy(new Error('the answer is read too slowly'))
      const timer = setTimeout(tooSlow, Math.max(0, patience)).unref()
      try {
        yield chunk
      } finally {
        clearTimeout(timer)
      }
      waited += performance.now() - from
    }
  }
  const stream = Readable.from(watched(), { objectMode: false })
  return stream
}
