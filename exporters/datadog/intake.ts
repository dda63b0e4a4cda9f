/** Datadog's intakes: where they are, how they are spoken to, what their answers mean. */
import type { Cancellation } from '../../core/cancellation.ts'
import { hostname } from 'node:os'
import type { Batch } from '../../core/batch.ts'
import type { BodyFormat } from '../../core/body.ts'
import type { ExporterContext } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { HttpAnswer } from '../../net/http-client.ts'
import type { Signal } from '../../proto/signals.ts'
import { deliveryErrorOfStatus, explanation } from '../http-answer.ts'
import { HttpPush, type Target } from '../http-push.ts'
import { type DatadogConfig, endpointOf, keyOf } from './config.ts'

/** What the parts of the exporter share. */
export class Intake {
  readonly config: DatadogConfig
  readonly context: ExporterContext
  readonly push: HttpPush
  /** The name of what does not say where it comes from. */
  readonly hostname: string

  /** `compression` is what is used where the configuration does not say. */
  constructor(config: DatadogConfig, context: ExporterContext, compression: 'gzip' | 'zstd' = 'gzip') {
    this.config = config
    this.context = context
    this.push = new HttpPush({ ...config, compression: config.compression ?? compression }, context)
    this.hostname = config.hostname || hostname()
  }

  /** One of the intakes of a signal, by `path`; what is sent there has `contentType`. */
  target(signal: Signal, path: string, contentType: string, more: Readonly<Record<string, string>> = {}): Target {
    const url = endpointOf(this.config, signal)
    url.pathname = url.pathname.replace(/\/$/, '') + path
    return this.push.target(url, { 'content-type': contentType, ...more, 'dd-api-key': keyOf(this.config) })
  }

  /**
   * Posts bytes that were made of the batch and resolves when they are taken. They depend on settings and state of this
   * exporter: no other one sends the same. They are not sent where they are more than `most` once compressed.
   * @throws DeliveryError saying what it means for the data
   */
  async send(target: Target, batch: Batch, bytes: Buffer, cancellation: Cancellation, most = Infinity): Promise<void> {
    const format = this.push.compressed({ write: () => ({ bytes }) })
    const limited: BodyFormat = {
      async write(batch, budget) {
        const body = await format.write(batch, budget)
        if (body.bytes.length > most) throw tooLarge(target, body.bytes.length, most, batch)
        return body
      },
    }
    const { answer } = await this.push.send(target, batch, limited, cancellation)
    checkAnswer(answer, target.name)
  }
}

/** Whether an intake wants to be asked again after that status. */
const retries = (status: number): boolean => status === 408 || status === 429 || status >= 500

/** Throws the failed delivery that an answer is; `name` says whose. */
export function checkAnswer(answer: HttpAnswer, name: string): void {
  if (answer.status >= 200 && answer.status < 300) return
  throw deliveryErrorOfStatus(answer, name, { retries, text: complaints(answer) })
}

/** What an intake complains about: `errors` is a list of texts, or of objects with `title` and `detail`. */
function complaints(answer: HttpAnswer): string {
  try {
    const parsed: unknown = JSON.parse(answer.body.toString())
    if (typeof parsed === 'object' && parsed !== null && 'errors' in parsed && Array.isArray(parsed.errors)) {
      const texts = parsed.errors.map(complaint).filter(text => text !== '')
      if (texts.length > 0) return texts.join('; ').slice(0, 300)
    }
  } catch {
    // Then it is shown as what it is.
  }
  return explanation(answer)
}

function complaint(error: unknown): string {
  if (typeof error === 'string') return error
  if (typeof error !== 'object' || error === null) return ''
  const parts = ['title' in error ? error.title : '', 'detail' in error ? error.detail : '']
  return parts.filter(part => typeof part === 'string' && part !== '').join(': ')
}

/** A request is larger than the intake takes, which it was not even asked. */
export class TooLarge extends DeliveryError {
  override name = 'TooLarge'
}

/** The batch makes a larger request than the intake takes: it has to be split, or is given up where it is one item. */
export function tooLarge(target: Target, size: number, most: number, { items }: Batch): TooLarge {
  const end = items > 1 ? 'it is split' : 'a single item cannot be split'
  const message = `${target.name}: a request of ${size} bytes, where ${most} are the most; ${end}`
  return new TooLarge('DELIVERY_TOO_LARGE', 'too_large', message)
}
