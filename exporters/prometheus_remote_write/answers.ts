/** What a receiver's answers mean for the data that was sent. */
import { DeliveryError } from '../../core/errors.ts'
import type { HttpAnswer } from '../../net/http-client.ts'
import type { RemoteWritePart } from '../../backends/remote-write/request.ts'
import { answerHeader, deliveryErrorOfStatus, explanation } from '../http-answer.ts'

/** What was sent in one request, besides its bytes. */
export type Counts = Omit<RemoteWritePart, 'body'>

/** What came of a request that the receiver took, at least in part: data points that it did not store, by reason. */
export interface Outcome {
  readonly reasons: Readonly<Record<string, number>>
  /** What it says of them; '' when all is well. */
  readonly message: string
}

/** The receiver does not know this version of the protocol. */
export class UnknownVersion extends Error {
  override name = 'UnknownVersion'
}

/** Receivers ask for all of these again (specification of remote write, "Retries & Backoff"). */
const retries = (status: number): boolean => status === 429 || status >= 500

const taken: Outcome = { reasons: {}, message: '' }

/**
 * What an answer to a request of 1.0 means. Prometheus stores nothing of a request with one sample that it does not take.
 * @throws DeliveryError where it was not taken
 */
export function outcome1(answer: HttpAnswer, url: string): Outcome {
  if (isSuccess(answer)) return taken
  throw deliveryErrorOfStatus(answer, url, { retries })
}

/**
 * What an answer to a request of 2.0 means. Its headers say how much was stored, and what was is stored also where the
 * status is an error of the client's.
 * @throws DeliveryError where it was not taken, UnknownVersion where 2.0 is not known
 */
export function outcome2(answer: HttpAnswer, url: string, sent: Counts): Outcome {
  const { status } = answer
  const samples = written(answer, 'samples')
  const histograms = written(answer, 'histograms')
  const says = samples !== undefined || histograms !== undefined
  if (status === 415) throw new UnknownVersion(`${url}: HTTP 415: ${explanation(answer)}`)
  if (isSuccess(answer) && !says) {
    // A receiver of 1.0 that does not look at the content type finds nothing in the request, and is content.
    throw new UnknownVersion(`${url}: HTTP ${status}, without a word on what was stored`)
  }
  if (!isSuccess(answer) && !(status === 400 && says)) throw deliveryErrorOfStatus(answer, url, { retries })
  const missing = sent.samples - (samples ?? 0) + sent.histograms - (histograms ?? 0)
  if (missing <= 0) return taken
  const text = explanation(answer)
  const of = `${missing} of ${sent.samples + sent.histograms} samples were not stored`
  const message = `${url}: HTTP ${status}: ${of}${text === '' ? '' : `: ${text}`}`
  return { reasons: reasonsOf(answer.body.toString(), missing, sent), message }
}

/** The data points that were not stored. Prometheus says of each sample why, in a line of its own. */
function reasonsOf(text: string, missing: number, sent: Counts): Record<string, number> {
  const counts = new Map<string, number>()
  let infos = 0
  for (const line of text.split('\n')) {
    if (infos < sent.infos && /__name__="(?:[^"]*_)?target_info"/.test(line)) infos++
    else if (line.trim() !== '') counts.set(reasonOf(line), (counts.get(reasonOf(line)) ?? 0) + 1)
  }
  let left = pointsOf(missing - infos, sent)
  const lines = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const reasons: Record<string, number> = {}
  // The most frequent last, which has what rounding leaves.
  for (const [reason, count] of [...counts].sort(([, a], [, b]) => a - b)) {
    const share = Math.min(left, Math.round((pointsOf(missing - infos, sent) * count) / lines))
    if (share > 0) reasons[reason] = share
    left -= share
  }
  if (left === 0) return reasons
  const last = [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'not_stored'
  return { ...reasons, [last]: (reasons[last] ?? 0) + left }
}

/** How many data points these samples are of. A classic histogram is many samples, which are stored or not together. */
function pointsOf(missing: number, { samples, histograms, infos, points }: Counts): number {
  if (missing <= 0) return 0
  const ofPoints = samples + histograms - infos
  if (ofPoints === points) return Math.min(missing, points)
  return Math.min(points, Math.max(1, Math.round((missing * points) / ofPoints)))
}

const reasons: readonly (readonly [RegExp, string])[] = [
  [/out of order/i, 'out_of_order'],
  [/duplicate sample/i, 'duplicate'],
  [/too old|out of bounds/i, 'out_of_bounds'],
  [/label/i, 'invalid_labels'],
  [/limit/i, 'limit'],
]

/** Why samples were not stored, by what the receiver says. */
export function reasonOf(text: string): string {
  return reasons.find(([pattern]) => pattern.test(text))?.[1] ?? 'not_stored'
}

/** The refusal of a receiver that does not know the version it was told to be sent. */
export function unknownVersion({ message }: UnknownVersion): DeliveryError {
  const text = `${message}; set \`protobuf_message\` to auto or prometheus.WriteRequest`
  return new DeliveryError('DELIVERY_DENIED', 'denied', text)
}

const isSuccess = ({ status }: HttpAnswer): boolean => status >= 200 && status < 300

function written(answer: HttpAnswer, what: string): number | undefined {
  const text = answerHeader(answer, `x-prometheus-remote-write-${what}-written`)
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
