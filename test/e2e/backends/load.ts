/**
 * Senders as SDKs are: each has one request under way, sends it again until it is taken, and then the next, at a pace.
 * Every item has an id, so that what was acknowledged can be looked for one by one.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Signal } from '../../../proto/signals.ts'
import { encode } from '../../support/otlp-proto.ts'

/** How much is sent. */
export interface Pace {
  readonly signal: Signal
  readonly senders: number
  /** Requests a second of each sender, and items of each request. */
  readonly rate: number
  readonly items: number
  /** Metrics are counters that say differences; by default gauges that say the number of the request. */
  readonly counters?: boolean
}

const text = (key: string, value: string) => ({ key, value: { string_value: value } })
const nanoseconds = (milliseconds: number, more = 0) => `${milliseconds}${String(more).padStart(6, '0')}`

/** A request of items with these ids, in the words of each signal. Of metrics the ids say only how many. */
export const requestOf: Record<
  Signal,
  (ids: readonly string[], sender: number, request: number, at: number) => Buffer
> = {
  traces: (ids, sender, request, at) =>
    encode('traces', {
      resource_spans: [
        {
          resource: { attributes: [text('service.name', 'load')] },
          scope_spans: [
            {
              spans: ids.map((name, i) => ({
                trace_id: Buffer.from(traceOf(sender, request), 'hex'),
                span_id: Buffer.from((i + 1).toString(16).padStart(16, '0'), 'hex'),
                name,
                kind: 2,
                start_time_unix_nano: nanoseconds(at),
                end_time_unix_nano: nanoseconds(at + 1),
              })),
            },
          ],
        },
      ],
    }),
  logs: (ids, _sender, _request, at) =>
    encode('logs', {
      resource_logs: [
        {
          resource: { attributes: [text('service.name', 'load')] },
          scope_logs: [
            {
              log_records: ids.map((id, i) => ({
                time_unix_nano: nanoseconds(at, i),
                severity_number: 9,
                body: { string_value: id },
              })),
            },
          ],
        },
      ],
    }),
  // A gauge whose series are senders and numbers, and whose values are the numbers of the requests.
  metrics: (ids, sender, request, at) =>
    encode('metrics', {
      resource_metrics: [
        {
          resource: { attributes: [text('service.name', 'load')] },
          scope_metrics: [
            {
              metrics: [
                {
                  name: 'load',
                  gauge: {
                    data_points: ids.map((_, i) => ({
                      attributes: [text('sender', `${sender}`), text('number', `${i}`)],
                      time_unix_nano: nanoseconds(at),
                      as_double: request,
                    })),
                  },
                },
              ],
            },
          ],
        },
      ],
    }),
}

/** Differences of counters, one for each sender: each point counts one. */
const countersOf: typeof requestOf.metrics = (ids, sender, request, at) =>
  encode('metrics', {
    resource_metrics: [
      {
        resource: { attributes: [text('service.name', 'load')] },
        scope_metrics: [
          {
            metrics: [
              {
                name: 'load',
                sum: {
                  aggregation_temporality: 1,
                  is_monotonic: true,
                  data_points: ids.map((_, i) => ({
                    attributes: [text('sender', `${sender}`), text('number', `${i}`)],
                    start_time_unix_nano: nanoseconds(at - 1, request),
                    time_unix_nano: nanoseconds(at),
                    as_double: 1,
                  })),
                },
              },
            ],
          },
        ],
      },
    ],
  })

/** The trace that a request is. */
export const traceOf = (sender: number, request: number): string =>
  (sender + 1).toString(16).padStart(16, '0') + (request + 1).toString(16).padStart(16, '0')

/** Senders that run until they are stopped. */
export class Load {
  /** Ids of what was answered with success. */
  readonly acknowledged = new Set<string>()
  /** Answers other than success, and requests without one. */
  failures = 0
  /** Requests that were acknowledged, by sender. */
  readonly requests: number[]
  readonly #port: number
  readonly #pace: Pace
  readonly #ending = new AbortController()
  #senders: Promise<void>[] = []

  constructor(port: number, pace: Pace) {
    this.#port = port
    this.#pace = pace
    this.requests = Array.from({ length: pace.senders }, () => 0)
  }

  /** Items a second. */
  get offered(): number {
    const { senders, rate, items } = this.#pace
    return senders * rate * items
  }

  start(): this {
    this.#senders = this.requests.map((_, sender) => this.#run(sender))
    return this
  }

  /** Resolves when what was under way is acknowledged. */
  async stop(): Promise<void> {
    this.#ending.abort()
    await Promise.all(this.#senders)
  }

  async #run(sender: number): Promise<void> {
    const { rate, items, signal, counters } = this.#pace
    const make = counters ? countersOf : requestOf[signal]
    const began = performance.now() + (sender * 1000) / rate / this.requests.length
    for (let request = 0; !this.#ending.signal.aborted; request++) {
      await delay(Math.max(0, began + (request * 1000) / rate - performance.now()))
      const ids = Array.from({ length: items }, (_, i) => `${sender}:${request}:${i}`)
      const body = make(ids, sender, request, Date.now())
      while (!(await this.#send(body))) {
        this.failures++
        await delay(100)
      }
      for (const id of ids) this.acknowledged.add(id)
      this.requests[sender]++
    }
  }

  async #send(body: Buffer): Promise<boolean> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}/v1/${this.#pace.signal}`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: new Uint8Array(body),
        signal: AbortSignal.timeout(10_000),
      })
      const answer = await response.arrayBuffer()
      // A partial success would have something to say.
      return response.ok && answer.byteLength === 0
    } catch {
      return false
    }
  }
}
