/** What the answer to a request without data says of a destination: for `kymo check --connect`. */
import type { Cancellation } from '../core/cancellation.ts'
import { type Checkable, CheckFailure, type CheckFinding } from '../core/check.ts'
import { messageOf } from '../core/errors.ts'
import type { Secret } from '../core/fields.ts'
import { shownUrl } from '../core/shown-url.ts'
import type { Signal } from '../proto/signals.ts'
import { GrpcCode } from '../proto/status.ts'
import { tlsReader } from '../net/client-keys.ts'
import type { ConnectPlace } from '../net/connect-steps.ts'
import type { GrpcError } from '../net/grpc-error.ts'
import type { HttpAnswer } from '../net/http-client.ts'
import type { HttpClientConfig } from '../net/http-client-keys.ts'
import { answerHeader, explanation } from './http-answer.ts'
import type { Target } from './http-push.ts'

/** What is sent so that whoever is there knows us. */
export interface SentCredentials {
  readonly headers?: Readonly<Record<string, Secret>>
  readonly auth?: { readonly authenticator: string } | undefined
  /** A key of the configuration that has them besides: `api.key`. */
  readonly key?: string | undefined
  /** One that could, and does not. */
  readonly unset?: string | undefined
}

/** Which keys are to be looked at when a destination does not let us in. */
function credentialsHint({ headers = {}, auth, key, unset }: SentCredentials): string {
  const names = Object.keys(headers).map(name => `\`headers.${name}\``)
  const all = [key && `\`${key}\``, auth && `\`auth.authenticator\` (${auth.authenticator})`, ...names.slice(0, 8)]
  const given = all.filter(one => one !== undefined && one !== '')
  return given.length === 0
    ? `no credentials are configured: set ${unset === undefined ? '' : `\`${unset}\`, `}\`headers\` or \`auth.authenticator\``
    : `what is sent comes from ${given.join(', ')}: is it right, and may it write there?`
}

/** One request without data. */
export interface CheckRequest {
  /** `request traces` */
  readonly step: string
  ask(cancellation: Cancellation): Promise<HttpAnswer>
  /** What an answer means that is no success, and which this destination is known to give; undefined where it means the usual. */
  known?(answer: HttpAnswer): CheckFinding | undefined
  /** It is asked elsewhere than where data goes: no answer is a warning. */
  readonly isAside?: boolean
}

/** A destination over HTTP: the way there, then each request. */
export interface HttpCheck {
  readonly config: Pick<HttpClientConfig, 'tls' | 'proxy_url' | 'headers' | 'auth'>
  readonly target: Target
  readonly signals: readonly Signal[]
  /** As the exporter's `start` does: finds what it needs of others. */
  start(): void
  readonly requests: readonly CheckRequest[]
  /** A key of the configuration, besides those of all clients, that has credentials, or could have. */
  readonly key?: string
  readonly unset?: string
}

/** What an exporter over HTTP can be asked for. */
export function httpCheckable({ config, target, signals, start, requests, key, unset }: HttpCheck): Checkable {
  const proxy = config.proxy_url
  const through = proxy === '' ? '' : ` (through \`proxy_url\` ${shownUrl(proxy)})`
  const inUrl = target.url.username === '' ? undefined : 'endpoint'
  return {
    endpoint: `${target.name}${through}`,
    signals,
    async check(steps) {
      const { connectSteps } = await import('../net/connect-steps.ts')
      if (!(await connectSteps(placeOf(config, target.url), steps))) return
      for (const { step, ask, known, isAside = false } of requests) {
        await steps.take(step, async cancellation => {
          start()
          let answer: HttpAnswer
          try {
            answer = await ask(cancellation)
          } catch (error) {
            if (!isAside) throw error
            return { text: `it could not be asked: ${messageOf(error)}`, isWarning: true }
          }
          return known?.(answer) ?? findingOf(answer, target.url, { ...config, key: key ?? inUrl, unset })
        })
      }
    },
  }
}

function placeOf(config: HttpCheck['config'], url: URL): ConnectPlace {
  const proxy = config.proxy_url === '' ? undefined : new URL(config.proxy_url)
  const { hostname, port, protocol } = proxy ?? url
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const isSecure = protocol === 'https:'
  return {
    to: { host, port: Number(port) || (isSecure ? 443 : 80) },
    protocol: 'http/1.1',
    // What is behind a proxy only the request itself gets to see.
    tls:
      isSecure && proxy === undefined
        ? {
            options: tlsReader(config.tls),
            keys: config.tls,
            serverName: host,
            plainHint: 'write `http://` in the endpoint, or the port that speaks TLS',
          }
        : undefined,
  }
}

/** @throws CheckFailure where it would take no data */
function findingOf(answer: HttpAnswer, url: URL, sent: SentCredentials): CheckFinding {
  const { status } = answer
  const said = explanation(answer)
  const text = `HTTP ${status}${said === '' ? '' : `: ${said}`}`
  const facts = { status }
  if (status >= 200 && status < 300) return { text: `HTTP ${status}: it takes what is sent`, facts }
  if (status === 401 || status === 403) throw new CheckFailure(text, credentialsHint(sent), facts)
  if (status === 407) throw new CheckFailure(text, 'the proxy wants credentials: write them in `proxy_url`', facts)
  if (status === 404 || status === 405) {
    throw new CheckFailure(text, `nothing takes data at ${url.pathname}: is the path of the endpoint right?`, facts)
  }
  if (status >= 300 && status < 400) {
    const to = answerHeader(answer, 'location')
    const hint = to === undefined ? 'set the endpoint to where it leads' : `set the endpoint to ${shownUrl(to)}`
    throw new CheckFailure(`${text} (redirects are not followed)`, hint, facts)
  }
  if (status === 400 && url.protocol === 'http:' && /https/i.test(said)) {
    throw new CheckFailure(text, 'this port wants https: write `https://` in the endpoint', facts)
  }
  if (status === 415) throw new CheckFailure(text, 'set `compression` or `encoding` to what it takes', facts)
  if (status >= 500) throw new CheckFailure(text, 'it is there and in trouble: look at its log', facts)
  if (status === 429) return { text: `${text} (it lets us in, and is busy)`, isWarning: true, facts }
  return { text: `${text} (it lets us in, and does not take a request without data)`, isWarning: true, facts }
}

const credentialCodes = new Set<number>([GrpcCode.UNAUTHENTICATED, GrpcCode.PERMISSION_DENIED])
const troubleCodes = new Set<number>([GrpcCode.UNAVAILABLE, GrpcCode.DEADLINE_EXCEEDED, GrpcCode.INTERNAL])

/**
 * What a gRPC server says to a request without data, where that is not success.
 * @throws CheckFailure where it would take no data
 */
export function findingOfGrpc(error: GrpcError, sent: SentCredentials): CheckFinding {
  const { code, status, message, answered } = error
  if (answered === 'no') throw new CheckFailure(message)
  const text = `${status}: ${message}`
  const facts = { status }
  if (credentialCodes.has(code)) throw new CheckFailure(text, credentialsHint(sent), facts)
  if (answered === 'http') throw new CheckFailure(text, 'what answers is no gRPC server: is it the right port?', facts)
  if (code === GrpcCode.UNIMPLEMENTED || code === GrpcCode.NOT_FOUND) {
    throw new CheckFailure(text, 'it speaks gRPC and does not take this signal: is it the right port?', facts)
  }
  if (troubleCodes.has(code)) throw new CheckFailure(text, 'it is there and in trouble: look at its log', facts)
  return { text: `${text} (it lets us in, and does not take a request without data)`, isWarning: true, facts }
}
