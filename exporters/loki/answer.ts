/** What Loki's answers mean for the data that was sent. */
import type { CheckFinding } from '../../core/check.ts'
import type { Sent } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { HttpAnswer } from '../../net/http-client.ts'
import { decodeStatus } from '../../proto/status.ts'
import { deliveryErrorOfStatus, explanation } from '../http-answer.ts'

/** The status with which Loki says, as if it was success, that a tenant may not write for now (`block_ingestion_until`). */
const blocked = 260

/** Loki asks for all of these again; which are the server's fault, its OTLP endpoint says as its push endpoint does. */
const retries = (status: number): boolean => status === 429 || status >= 500

/**
 * What an answer other than Loki's plain success means; undefined when all was taken.
 * @param otlp whether it comes from the OTLP endpoint, whose errors are Status messages under whatever media type
 * @throws DeliveryError where it was not
 */
export function sentOfLoki(answer: HttpAnswer, url: string, otlp: boolean): Sent | undefined {
  const { status } = answer
  // Loki has nothing to say: it answers 204.
  if (status >= 200 && status < 300 && status !== blocked) return
  const text = otlp ? statusText(answer) : undefined
  if (status === blocked) {
    const message = `${url}: HTTP ${status}: ${text ?? explanation(answer)}`
    throw new DeliveryError('DELIVERY_REJECTED', 'rejected', message)
  }
  const error = deliveryErrorOfStatus(answer, url, { retries, text })
  // Some streams may be stored although others were over a limit, or their ingester away. A line that comes again with
  // the same time is the same line to Loki, so nothing shows twice.
  if (error.kind !== 'retry') throw error
  const { code, kind, message, retryAfter, isThrottled } = error
  throw new DeliveryError(code, kind, message, { retryAfter, isThrottled, maybeTaken: true })
}

function statusText({ body }: HttpAnswer): string | undefined {
  const message = decodeStatus(body)?.message ?? ''
  return message === '' ? undefined : message.slice(0, 600).replace(/[\p{C}\s]+/gu, ' ')
}

/** What Loki says to a push without streams, by which it has let us in; undefined for other answers. */
export function emptyAnswer(answer: HttpAnswer): CheckFinding | undefined {
  const { status } = answer
  if ((status !== 400 && status !== 422) || !/stream/i.test(explanation(answer))) return undefined
  return { text: `HTTP ${status}: it takes what is sent, and says that there was nothing`, facts: { status } }
}
