/** Asking a Kymo that runs, through its admin server. */
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
 * What the admin server at `admin` (a URL, or `host:port`) says to `path`.
 * @throws AskError
 */
export async function ask(admin: string, path: string): Promise<unknown> {
  const base = /^https?:\/\//.test(admin) ? admin : `http://${admin}`
  if (!URL.canParse(base)) throw new AskError(`--admin ${admin} is no address; write one such as ${defaultAdmin}`)
  const url = new URL(base.replace(/\/+$/, '') + path)
  let response: Response
  let text: string
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(patience) })
    text = await response.text()
  } catch (error) {
    throw new AskError(
      `no Kymo answers at ${url.origin}: ${causeOf(error)}\n` +
        'Is it running? It logs the address of its admin server when it is ready ' +
        '(`service.telemetry.metrics.readers`); give that with --admin.',
      { cause: error },
    )
  }
  const answer = parsed(text)
  if (response.ok && answer !== undefined) return answer
  if (typeof answer?.['error'] !== 'string') {
    throw new AskError(`what answers at ${url.origin} is no admin server of Kymo (HTTP status ${response.status})`)
  }
  const { error, hint } = answer
  throw new AskError(typeof hint === 'string' ? `${error}; ${hint}` : error)
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
