/** Asking a Kymo that runs, through its admin server. */
import { readFileSync } from 'node:fs'
import { messageOf } from '../core/errors.ts'

/** Nobody answers, or not what was asked. The message is for the user. */
export class AskError extends Error {
  override name = 'AskError'
}

/** Where to ask when nothing is said. */
export const defaultAdmin = 'http://localhost:8888'

/** How long an answer may take, in milliseconds. */
const patience = 10_000

/**
 * What the admin server at `admin` (a URL, or `host:port`) says to `path`; with `command` it is told to do something.
 * @throws AskError
 */
export async function ask(admin: string, path: string, command?: object): Promise<unknown> {
  const url = urlOf(admin, path)
  const signal = AbortSignal.timeout(patience)
  const told = { method: 'POST', body: JSON.stringify(command) }
  const response = await reach(url, { signal, ...(command === undefined ? {} : told) }, command !== undefined)
  const answer = parsed(await textOf(response, url))
  if (response.ok && answer !== undefined) return answer
  throw refusal(url, response, answer)
}

/**
 * A long answer, piece by piece as it comes.
 * @throws AskError
 */
export async function* download(admin: string, path: string): AsyncGenerator<Uint8Array, void> {
  const url = urlOf(admin, path)
  const response = await reach(url, {}, true)
  if (!response.ok || response.body === null) throw refusal(url, response, parsed(await textOf(response, url)))
  try {
    for await (const chunk of response.body) yield chunk
  } catch (error) {
    throw new AskError(`the answer of ${url.origin} broke off: ${causeOf(error)}`, { cause: error })
  }
}

function urlOf(admin: string, path: string): URL {
  const base = /^https?:\/\//.test(admin) ? admin : `http://${admin}`
  if (!URL.canParse(base)) throw new AskError(`--admin ${admin} is no address; write one such as ${defaultAdmin}`)
  return new URL(base.replace(/\/+$/, '') + path)
}

async function reach(url: URL, init: RequestInit, isGuarded: boolean): Promise<Response> {
  const type = init.body === undefined ? {} : { 'content-type': 'application/json' }
  const headers = { ...type, ...(isGuarded ? token(process.env) : {}) }
  try {
    return await fetch(url, { ...init, headers })
  } catch (error) {
    throw new AskError(
      `no Kymo answers at ${url.origin}: ${causeOf(error)}\n` +
        'Is it running? It logs the address of its admin server when it is ready ' +
        '(`service.telemetry.metrics.readers`); give that with --admin.',
      { cause: error },
    )
  }
}

/** What lets a command in where a token is asked for. */
function token({ KYMO_ADMIN_TOKEN: given, KYMO_ADMIN_TOKEN_FILE: file }: NodeJS.ProcessEnv): Record<string, string> {
  try {
    const text = file ? readFileSync(file, 'utf8').trim() : given
    return text ? { authorization: `Bearer ${text}` } : {}
  } catch (error) {
    throw new AskError(`the file of KYMO_ADMIN_TOKEN_FILE cannot be read: ${messageOf(error)}`, { cause: error })
  }
}

async function textOf(response: Response, url: URL): Promise<string> {
  try {
    return await response.text()
  } catch (error) {
    throw new AskError(`the answer of ${url.origin} broke off: ${causeOf(error)}`, { cause: error })
  }
}

function refusal(url: URL, response: Response, answer: Record<string, unknown> | undefined): AskError {
  if (typeof answer?.['error'] !== 'string') {
    return new AskError(`what answers at ${url.origin} is no admin server of Kymo (HTTP status ${response.status})`)
  }
  const { error, hint } = answer
  return new AskError(typeof hint === 'string' ? `${error}; ${hint}` : error)
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** What `fetch` hides in its causes. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error)
  if (error.name === 'TimeoutError') return `no answer within ${patience / 1000} s`
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0])
  return error.cause === undefined ? error.message : causeOf(error.cause)
}
