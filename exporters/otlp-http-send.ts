/** Sends batches as OTLP over HTTP: what every exporter that does so stands on. */
import type { Batch } from '../core/batch.ts'
import type { Cancellation } from '../core/cancellation.ts'
import type { BodyFormat } from '../core/body.ts'
import { type Checkable, emptyBatch } from '../core/check.ts'
import type { Attempt, Exporter, ExporterContext, Sent } from '../core/component.ts'
import type { Signal } from '../proto/signals.ts'
import { httpCheckable } from './check-request.ts'
import { HttpPush, type PushConfig, type Target } from './http-push.ts'
import { jsonType, protobufType, sentOfHttp } from './otlp-answer.ts'
import { jsonFormat, protobufFormat } from './otlp-body.ts'

/** An exporter of OTLP over HTTP. */
export class OtlpHttp implements Exporter {
  readonly #config: PushConfig
  readonly #context: ExporterContext
  readonly #type: string
  readonly #format: BodyFormat
  readonly #targets = new Map<Signal, Target>()
  readonly #push: HttpPush

  constructor(config: PushConfig, context: ExporterContext, urls: ReadonlyMap<Signal, URL>, json = false) {
    this.#config = config
    this.#context = context
    this.#type = json ? jsonType : protobufType
    this.#push = new HttpPush(config, context)
    this.#format = this.#push.compressed(json ? jsonFormat : protobufFormat)
    for (const [signal, url] of urls) {
      this.#targets.set(signal, this.#push.target(url, { 'content-type': this.#type }))
    }
  }

  start(): void {
    this.#push.start()
  }

  async send(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    const target = this.#targets.get(batch.signal)
    if (target === undefined) throw new Error(`no URL for ${batch.signal}`)
    const { answer } = await this.#push.send(target, batch, this.#format, attempt)
    return sentOfHttp(answer, batch, target.name, this.#type)
  }

  stop(): Promise<void> {
    return this.#push.stop()
  }

  check(): readonly Checkable[] {
    return [...this.#targets].flatMap(([signal, target]) => {
      if (!this.#context.signals.has(signal)) return []
      const batch = emptyBatch(signal)
      const ask = async (cancellation: Cancellation) =>
        (await this.#push.send(target, batch, this.#format, cancellation)).answer
      return httpCheckable({
        config: this.#config,
        target,
        signals: [signal],
        start: () => this.start(),
        requests: [{ step: `request ${signal}`, ask }],
      })
    })
  }
}
