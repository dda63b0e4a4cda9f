/** Asking a Kymo that runs, through its admin server. */
import { messageOf } from '../core/errors.ts'
import { type Token, tokenOf, unknownToken, uselessToken } from './admin-token.ts'

/** Nobody answers, or not what was asked. The message is for the user. */
export class AskError extends Error {
  override name = 'AskError'
}

/** Where to ask when nothing is said. */
export const defaultAdmin = 'http://localhost:8888'

/** How long an answer may take, in milliseconds. */
const patience = 10_000

/** Who is asked, and what lets us in. */
interface Place {
  readonly url: URL
  readonly token: Token | undefined
}

type Answer = Readonly<Record<string, unknown>>

/**
 * What the admin server at `admin` (a URL, or `host:port`) says to `path`; with `command` it is told to do something.
 * @throws AskError
 */
export async function ask(admin: string, path: string, command?: object): Promise<unknown> {
  const place = placeOf(admin, path)
  const told = { method: 'POST', body: JSON.stringify(command) }
  const { response, answer } = await exchange(place, command === undefined ? {} : told, patience)
  if (response.ok && answer !== undefined) return answer
  throw refusal(place, response, answer)
}

/**
 * Has it do what takes no words. Gives what it says of that, also when it could not be done; that is told by a text in `key`.
 * @throws AskError when it says nothing of it
 */
export async function tell(admin: string, path: string, key: string, most: number): Promise<Answer> {
  const place = placeOf(admin, path)
  const { response, answer } = await exchange(place, { method: 'POST' }, most)
  if (typeof answer?.[key] === 'string') return answer
  throw refusal(place, response, answer)
}

/**
 * A long answer, piece by piece as it comes.
 * @throws AskError
 */
export async function* download(admin: string, path: string): AsyncGenerator<Uint8Array, void> {
  const place = placeOf(admin, path)
  const response = await reach(place, {})
  if (!response.ok || response.body === null) throw refusal(place, response, parsed(await textOf(response, place)))
  try {
    for await (const chunk of response.body) yield chunk
  } catch (error) {
    throw brokenOff(place, error)
  }
}

function placeOf(admin: string, path: string): Place {
  const base = /^https?:\/\//.test(admin) ? admin : `http://${admin}`
  if (!URL.canParse(base)) throw new AskError(`--admin ${admin} is no address; write one such as ${defaultAdmin}`)
  try {
    return { url: new URL(base.replace(/\/+$/, '') + path), token: tokenOf(process.env) }
  } catch (error) {
    throw new AskError(messageOf(error), { cause: error })
  }
}

async function exchange(
  place: Place,
  init: RequestInit,
  most: number,
): Promise<{ readonly response: Response; readonly answer: Answer | undefined }> {
  const response = await reach(place, { ...init, signal: AbortSignal.timeout(most) }, most)
  return { response, answer: parsed(await textOf(response, place, most)) }
}

async function reach({ url, token }: Place, init: RequestInit, most?: number): Promise<Response> {
  const headers = {
    ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: token.authorization }),
  }
  try {
    return await fetch(url, { ...init, headers })
  } catch (error) {
    throw new AskError(
      `no Kymo answers at ${url.origin}: ${causeOf(error, most)}\n` +
        'Is it running? It logs the address of its admin server when it is ready ' +
        '(`service.telemetry.metrics.readers`); give that with --admin.',
      { cause: error },
    )
  }
}

async function textOf(response: Response, place: Place, most?: number): Promise<string> {
  try {
    return await response.text()
  } catch (error) {
    throw brokenOff(place, error, most)
  }
}

const brokenOff = ({ url }: Place, error: unknown, most?: number): AskError =>
  new AskError(`the answer of ${url.origin} broke off: ${causeOf(error, most)}`, { cause: error })

function refusal({ url: { origin }, token }: Place, { status }: Response, answer: Answer | undefined): AskError {
  const { error, hint } = answer ?? {}
  if (typeof error !== 'string') {
    const between =
      status === 401 || status === 403
        ? '; something stands before it that wants to know who asks: ask from where it runs, in a pod with `kubectl exec`'
        : ''
    return new AskError(`what answers at ${origin} is no admin server of Kymo (HTTP status ${status})${between}`)
  }
  if (status === 401) return new AskError(unknownToken(origin, token))
  if (typeof hint !== 'string') return new AskError(error)
  return new AskError(`${error}; ${hint}${status === 403 ? uselessToken(origin, token) : ''}`)
}

function parsed(text: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Answer) : undefined
  } catch {
    return undefined
  }
}

/** What `fetch` hides in its causes. */
function causeOf(error: unknown, most: number | undefined): string {
  if (!(error instanceof Error)) return messageOf(error)
  if (error.name === 'TimeoutError' && most !== undefined) return `no answer within ${most / 1000} s`
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0], most)
  return error.cause === undefined ? error.message : causeOf(error.cause, most)
}
