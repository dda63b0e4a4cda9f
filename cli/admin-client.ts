/** Asking a Kymo that runs, through its admin server. */
import { lstat } from 'node:fs/promises'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { messageOf } from '../core/errors.ts'
import { ownSelf } from '../core/ownership.ts'
import { type Token, tokenOf, unknownToken, uselessToken } from './admin-token.ts'

/** What was asked for cannot be had: nobody answers, or not that, or it makes no sense. The message is for the user. */
export class AskError extends Error {
  override name = 'AskError'
}

/** It is a Kymo, of a version that has no such page. */
export class NoPageError extends AskError {
  override name = 'NoPageError'
}

/** Where to ask when nothing is said. */
export const defaultAdmin = 'http://localhost:8888'

/** How long an answer may take, in milliseconds. */
const patience = 10_000

/** Who is asked, and what lets us in. */
interface Place {
  readonly url: URL
  /** How it is called to the user. */
  readonly name: string
  /** Path of the unix socket it listens on. */
  readonly socket: string | undefined
  readonly token: Token | undefined
}

/** What is sent besides the path. */
interface Asking {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

type Answer = Readonly<Record<string, unknown>>

/**
 * What the admin server at `admin` (a URL, or `host:port`) says to `path`; with `command` it is told to do something,
 * which may take `most` milliseconds.
 * @throws AskError
 */
export async function ask(admin: string, path: string, command?: object, most = patience): Promise<unknown> {
  const place = placeOf(admin, path)
  const told = { method: 'POST', body: JSON.stringify(command) }
  const { response, answer } = await exchange(place, command === undefined ? {} : told, most)
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
  const socket = /^unix:(?:\/\/)?(.+)$/.exec(admin)?.[1]
  const base = socket !== undefined ? 'http://localhost' : /^https?:\/\//.test(admin) ? admin : `http://${admin}`
  if (!URL.canParse(base) || admin === 'unix:') {
    throw new AskError(`--admin ${admin} is no address; write one such as ${defaultAdmin} or unix:/run/kymo/admin.sock`)
  }
  try {
    const url = new URL(base.replace(/\/+$/, '') + path)
    const name = socket === undefined ? url.origin : `unix:${socket}`
    return { url, name, socket, token: tokenOf(process.env) }
  } catch (error) {
    throw new AskError(messageOf(error), { cause: error })
  }
}

async function exchange(
  place: Place,
  init: Asking,
  most: number,
): Promise<{ readonly response: Response; readonly answer: Answer | undefined }> {
  const response = await reach(place, { ...init, signal: AbortSignal.timeout(most) }, most)
  return { response, answer: parsed(await textOf(response, place, most)) }
}

async function reach({ url, name, socket, token }: Place, init: Asking, most?: number): Promise<Response> {
  const headers: Record<string, string> = {
    ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: token.authorization }),
  }
  try {
    return await (socket === undefined
      ? fetch(url, { ...init, headers })
      : askSocket(socket, url, { ...init, headers }))
  } catch (error) {
    throw new AskError(
      `no Kymo answers at ${name}: ${causeOf(error, most)}\n` +
        'Is it running? It logs the address of its admin server when it is ready ' +
        '(`service.telemetry.metrics.readers`); give that with --admin.',
      { cause: error },
    )
  }
}

/** The same as `fetch`, over a socket, which that cannot. */
async function askSocket(socketPath: string, url: URL, { method, body, headers, signal }: Asking): Promise<Response> {
  await trustSocket(socketPath)
  return new Promise((resolve, reject) => {
    const path = url.pathname + url.search
    const asking = request(
      { socketPath, path, method: method ?? 'GET', headers: { ...headers }, agent: false, ...(signal && { signal }) },
      answer => {
        const { statusCode: status = 502 } = answer
        resolve(new Response(Readable.toWeb(answer) as ReadableStream<Uint8Array<ArrayBuffer>>, { status }))
      },
    )
    // What an abort throws is told by its reason.
    asking.on('error', error => reject(signal?.aborted === true ? signal.reason : error))
    asking.end(body)
  })
}

/** The token is only for a server of ours: somebody else's socket may stand where ours did. */
async function trustSocket(path: string): Promise<void> {
  const { isFile, uid } = await lstat(path).then(found => ({ isFile: found.isFile(), uid: found.uid }))
  if (isFile) throw new Error('what is there is no socket')
  const self = ownSelf()
  if (self === undefined || self.uid === 0 || uid === self.uid || uid === 0) return
  throw new Error(`the socket belongs to user ${uid}`)
}

async function textOf(response: Response, place: Place, most?: number): Promise<string> {
  try {
    return await response.text()
  } catch (error) {
    throw brokenOff(place, error, most)
  }
}

const brokenOff = ({ name }: Place, error: unknown, most?: number): AskError =>
  new AskError(`the answer of ${name} broke off: ${causeOf(error, most)}`, { cause: error })

function refusal({ name: origin, token }: Place, { status }: Response, answer: Answer | undefined): AskError {
  const { error, hint, pages } = answer ?? {}
  if (typeof error !== 'string') {
    const between =
      status === 401 || status === 403
        ? '; something stands before it that wants to know who asks: ask from where it runs, in a pod with `kubectl exec`'
        : ''
    return new AskError(`what answers at ${origin} is no admin server of Kymo (HTTP status ${status})${between}`)
  }
  // What is no page at all only answers GET, too.
  if (status === 405 || (status === 404 && Array.isArray(pages)))
    return new NoPageError(typeof hint === 'string' ? `${error}; ${hint}` : error)
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
