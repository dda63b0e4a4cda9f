/** What answers over HTTP, and requests without one, mean for the data that was sent. Backends differ in which statuses they ask to be tried again. */
import { DeliveryError } from '../core/errors.ts'
import { shownUrl } from '../core/shown-url.ts'
import type { HttpAnswer, HttpClientError } from '../net/http-client.ts'
import { parseRetryAfter } from '../net/retry-after.ts'

/** Nothing sent like this will be taken: the credentials or the address are wrong, not the data. */
const denied = new Set([401, 403, 404, 405, 407])

/** The first value of a header of the answer. */
export function answerHeader(answer: HttpAnswer, name: string): string | undefined {
  const value = answer.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Media type of an answer without its parameters. */
export function mediaType(answer: HttpAnswer): string {
  const [type = ''] = (answerHeader(answer, 'content-type') ?? '').split(';', 1)
  return type.trim().toLowerCase()
}

/** What the server says, in short: the message of a JSON object, or the beginning of a text. */
export function explanation(answer: HttpAnswer): string {
  const { body } = answer
  if (mediaType(answer) === 'application/json') {
    try {
      const parsed: unknown = JSON.parse(body.toString())
      if (typeof parsed === 'object' && parsed !== null && 'message' in parsed && typeof parsed.message === 'string') {
        return parsed.message
      }
    } catch {
      // Then it is shown as what it is.
    }
  }
  return body
    .toString('utf8', 0, 300)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
}

/** What is known of an answer beyond its status. */
export interface Answered {
  /** Says whether the backend wants to be asked again after that status. */
  readonly retries: (status: number) => boolean
  /** What the server says; without it the beginning of the body. */
  readonly text?: string | undefined
  /** Milliseconds to wait that stand elsewhere than in Retry-After. */
  readonly retryAfter?: number | undefined
}

/** The failed delivery that an answer with a status other than one of success is; `url` names it without its secrets. */
export function deliveryErrorOfStatus(answer: HttpAnswer, url: string, answered: Answered): DeliveryError {
  const { status: code } = answer
  const text = answered.text ?? explanation(answer)
  const message = `${url}: HTTP ${code}${text === '' ? '' : `: ${text}`}`
  if (answered.retries(code)) {
    const retryAfter = parseRetryAfter(answerHeader(answer, 'retry-after')) ?? answered.retryAfter
    // A gateway that waited in vain does not know what became of the request.
    const maybeTaken = code === 502 || code === 504
    return new DeliveryError('DELIVERY_BUSY', 'retry', message, { retryAfter, maybeTaken, isThrottled: code === 429 })
  }
  if (code === 413) return new DeliveryError('DELIVERY_TOO_LARGE', 'too_large', message)
  if (denied.has(code)) return new DeliveryError('DELIVERY_DENIED', 'denied', message)
  if (code >= 300 && code < 400) {
    const target = answerHeader(answer, 'location')
    return new DeliveryError(
      'DELIVERY_DENIED',
      'denied',
      `${url}: HTTP ${code}: redirects are not followed${target ? `; set the endpoint to where it points: ${shownUrl(target)}` : ''}`,
    )
  }
  return new DeliveryError('DELIVERY_REJECTED', 'rejected', message)
}

/**
 * Whether a page for people stands under a status of success: a login, a proxy's portal, some other server. No backend answers
 * data with one, so it has not been taken. (Small servers call any text HTML, an empty one, too.)
 */
export function isWebPage(answer: HttpAnswer): boolean {
  const { status, body } = answer
  return (
    status >= 200 && status < 300 && mediaType(answer) === 'text/html' && /^\s*</.test(body.toString('latin1', 0, 100))
  )
}

/** The failed delivery that such a page is: the address is wrong, not the data. */
export function answeredByPage(url: string): DeliveryError {
  const text = `${url}: answered with a web page, so nothing was taken; is it the right URL, and no login or proxy in front?`
  return new DeliveryError('DELIVERY_DENIED', 'denied', text)
}

/** A request without an answer as a failed delivery. */
export function deliveryErrorOfHttp(error: HttpClientError, url: string): DeliveryError {
  const timedOut = error.reason === 'timeout' || isTimeout(error.cause)
  const code = timedOut ? 'DELIVERY_TIMEOUT' : 'DELIVERY_UNREACHABLE'
  return new DeliveryError(code, 'retry', `${url}: ${error.message}`, { maybeTaken: error.sent, cause: error })
}

/** Whether a request was given up because its attempt's time was up. */
export function isTimeout(reason: unknown): boolean {
  return reason instanceof DeliveryError && reason.code === 'DELIVERY_TIMEOUT'
}
