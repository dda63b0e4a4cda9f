/** A thread that fuzzes one surface in stretches, and says how far it is: whoever started it sees when it hangs. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { fuzzConfig } from './config.ts'
import type { Tally } from './findings.ts'
import { fuzzFunctions } from './functions.ts'
import { fuzzHttp1 } from './http1.ts'
import { fuzzHttp2 } from './http2.ts'
import { fuzzHttp2Client } from './http2-client.ts'

/** What a thread is to do. */
export interface Task {
  readonly surface: 'protobuf' | 'json' | 'config' | 'http1' | 'http2' | 'http2-client'
  readonly seed: number
  readonly from: number
  readonly to: number
  /** One number: the input that is being worked on. */
  readonly progress: Int32Array
}

/** What it tells after each stretch: MiB in use when the garbage is gone. */
export interface Stretch {
  readonly tally: Tally
  readonly memory: number
}

const stretch = 5000

async function run({ surface, seed, from, to, progress }: Task): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const began = (index: number): void => void Atomics.store(progress, 0, index)
  for (let at = from; at < to; at += stretch) {
    const count = Math.min(stretch, to - at)
    const tally =
      surface === 'config'
        ? fuzzConfig(seed, at, count, began)
        : surface === 'http1'
          ? await fuzzHttp1(seed, at, count, began)
          : surface === 'http2'
            ? await fuzzHttp2(seed, at, count, began)
            : surface === 'http2-client'
              ? await fuzzHttp2Client(seed, at, count, began)
              : await fuzzFunctions({ surface, seed, from: at, count, began })
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    parentPort?.postMessage({ tally, memory: (heapUsed + arrayBuffers) / 2 ** 20 } satisfies Stretch)
  }
}

await run(workerData as Task)
