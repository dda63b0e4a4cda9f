/**
 * A process of healthy senders: one over gRPC, one over HTTP, small batches at a steady pace, each request timed. Alone in
 * its process, so that the attacker's work is not taken for the victim's.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { grpcClient, httpClient } from '../faults/senders.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

/** What healthy senders saw since they were asked last. */
export interface Told {
  readonly sent: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly longest: number
  /** What was heard instead of success, by how often. */
  readonly failed: Readonly<Record<string, number>>
}

/** How they send. */
export interface Pace {
  readonly grpc: number
  readonly http: number
  /** Requests a second of each. */
  readonly rate: number
  /** Milliseconds after which an answer is none. */
  readonly patience: number
  readonly headers?: Readonly<Record<string, string>>
}

/** The senders, seen from the process that measures. */
export class Healthy {
  readonly #child: ReturnType<typeof fork>

  constructor(pace: Pace) {
    this.#child = fork(fileURLToPath(import.meta.url), [JSON.stringify(pace)], { execArgv: [] })
  }

  /** What they saw since the last time; requests under way are told of next time. */
  tell(): Promise<Told> {
    return new Promise(resolve => {
      this.#child.once('message', told => resolve(told as Told))
      this.#child.send('tell')
    })
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }
}

/** How late this process itself was, in sum: that is not the victim's. */
class OwnLateness {
  sum = 0
  #at = performance.now()

  constructor(every = 5) {
    setInterval(() => {
      const now = performance.now()
      this.sum += Math.max(0, now - this.#at - every - 1)
      this.#at = now
    }, every)
  }
}

async function send(pace: Pace): Promise<void> {
  const lateness = new OwnLateness()
  const body = tracesRequest([{ namespace: 'shop', spans: names('span', 10) }])
  const clients = [grpcClient(pace.grpc, false, pace.headers), httpClient(pace.http, pace.headers)]
  let took: number[] = []
  let failed: Record<string, number> = {}
  process.on('message', () => {
    const sorted = took.toSorted((a, b) => a - b)
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
    const told: Told = { sent: sorted.length, p50: at(0.5), p99: at(0.99), longest: at(1), failed }
    took = []
    failed = {}
    process.send?.(told)
  })
  process.on('disconnect', () => process.exit(0))
  const one = async (client: (typeof clients)[number], over: string): Promise<void> => {
    const from = performance.now()
    const late = lateness.sum
    const heard = await client.send('traces', body, pace.patience)
    took.push(performance.now() - from - (lateness.sum - late))
    if (heard.what === 'success' && heard.rejected === 0) return
    const code = 'code' in heard ? ` ${heard.code}` : ''
    const word = `${over}: ${heard.what}${code} ${'message' in heard ? heard.message.slice(0, 80) : ''}`
    failed[word] = (failed[word] ?? 0) + 1
  }
  const began = performance.now()
  for (let turn = 1; ; turn++) {
    // Neither waits for the answer: who is kept waiting goes on sending.
    void one(clients[0], 'gRPC')
    void one(clients[1], 'HTTP')
    const wait = began + (turn / pace.rate) * 1000 - performance.now()
    if (wait > 0) await delay(wait)
  }
}

if (import.meta.main) await send(JSON.parse(process.argv[2]) as Pace)
