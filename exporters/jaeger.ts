import * as z from 'zod'
import { defineExporter, type Exporter, type ExporterContext } from '../core/component.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { sending } from '../core/sending.ts'
import { shownUrl } from '../core/shown-url.ts'
import { headers } from '../net/client-keys.ts'
import { grpcClient } from '../net/grpc-client-keys.ts'
import { parseTarget } from '../net/grpc-target.ts'
import { checkLevel, httpClient } from '../net/http-client-keys.ts'
import { tlsClient } from '../net/tls.ts'
import { OtlpGrpc } from './otlp-grpc-send.ts'
import { OtlpHttp } from './otlp-http-send.ts'

/** Jaeger listens without TLS unless it is told to. */
const plain = tlsClient().parse({ insecure: true })

/** Keys that only one of the protocols has. */
const only = {
  grpc: ['keepalive', 'balancer_name', 'authority', 'wait_for_ready', 'user_agent'],
  http: ['compression_params', 'proxy_url', 'max_conns_per_host', 'idle_conn_timeout', 'disable_keep_alives'],
} as const

const endpoint = z
  .string()
  .default('')
  .meta({ role: 'sends OTLP' })
  .describe(
    'Where Jaeger listens: `host:port`, for HTTP also a URL; `https://` in front asks for TLS. ' +
      'Without one `localhost:4317`, with `protocol: http` `localhost:4318`.',
  )

const shape = z
  .strictObject({
    protocol: z.enum(['grpc', 'http']).default('grpc').describe('OTLP over gRPC or over HTTP: Jaeger takes both.'),
    endpoint,
  })
  .extend(httpClient({ compression: 'gzip' }))
  .extend(grpcClient())
  // What differs from both.
  .extend({
    endpoint,
    headers: headers(
      /^(?:te|connection|host|keep-alive|upgrade|expect|trailer|content-type|content-length|transfer-encoding|user-agent|grpc-.*)$/i,
    ),
    tls: tlsClient()
      .nullish()
      .transform(given => given ?? plain)
      .describe('TLS of the connection; off unless this section is there or `endpoint` begins with `https://`.'),
    ...sending({ timeout: '5s' }),
  })

const usual = shape.parse({})

const config = shape.superRefine((given, context) => {
  checkLevel(given, context)
  const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', message, path: [path] })
  const complaint = complaintAbout(given)
  if (complaint !== undefined) wrong('endpoint', complaint)
  const other = given.protocol === 'grpc' ? 'http' : 'grpc'
  for (const key of only[other]) {
    if (JSON.stringify(given[key]) === JSON.stringify(usual[key])) continue
    wrong(
      key,
      `\`${key}\` has no effect with \`protocol: ${given.protocol}\`; remove it, or set \`protocol: ${other}\``,
    )
  }
})

type Config = z.output<typeof config>

/** Ports that Jaeger listens on for something else than what this sends. */
const elsewhere: Readonly<Record<number, string>> = {
  14250: 'is the port of a protocol that Jaeger had before OTLP',
  14268: 'is the port of a protocol that Jaeger had before OTLP',
  6831: 'was the port of the Jaeger agent, which is no more',
  6832: 'was the port of the Jaeger agent, which is no more',
  9411: "is Jaeger's port for Zipkin",
  16685: "is Jaeger's port for queries",
  16686: "is Jaeger's port for its pages and queries",
}

function complaintAbout({ endpoint, protocol }: Pick<Config, 'endpoint' | 'protocol'>): string | undefined {
  if (endpoint === '') return undefined
  try {
    const port = protocol === 'grpc' ? parseTarget(endpoint).port : Number(parseUrl(endpoint).port)
    const right = protocol === 'grpc' ? 4317 : 4318
    if (port in elsewhere) return `\`${shownUrl(endpoint)}\`: ${port} ${elsewhere[port]}; it takes OTLP on ${right}`
    if (port === 4318 && protocol === 'grpc')
      return `\`${shownUrl(endpoint)}\`: Jaeger takes OTLP over HTTP on 4318; set \`protocol: http\`, or use its port 4317`
    if (port === 4317 && protocol === 'http')
      return `\`${shownUrl(endpoint)}\`: Jaeger takes OTLP over gRPC on 4317; set \`protocol: grpc\`, or use its port 4318`
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** @throws Error saying what is wrong with the endpoint */
function parseUrl(endpoint: string, secure = false): URL {
  const example = 'such as `http://localhost:4318`'
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(endpoint)?.[1]?.toLowerCase()
  const text = scheme === undefined ? `${secure ? 'https' : 'http'}://${endpoint}` : endpoint
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https')
    throw new Error(`\`${shownUrl(endpoint)}\`: only http:// and https:// are known over HTTP, ${example}`)
  if (!URL.canParse(text)) throw new Error(`\`${shownUrl(endpoint)}\` is no URL; write one, ${example}`)
  const url = new URL(text)
  if (scheme === undefined && !/:\d+(?:\/|$)/.test(endpoint))
    throw new Error(`\`${shownUrl(endpoint)}\` has no port; write host and port, such as \`localhost:4318\``)
  if (url.pathname.endsWith('/api/traces'))
    throw new Error(`\`${shownUrl(endpoint)}\`: this is the path of a protocol that Jaeger had before OTLP; remove it`)
  return url
}

/** Where a configuration sends traces: host and port for gRPC, the whole URL for HTTP. */
export function addressOf({ endpoint, protocol, tls }: Pick<Config, 'endpoint' | 'protocol' | 'tls'>): string {
  if (protocol === 'grpc') return endpoint || 'localhost:4317'
  const url = parseUrl(endpoint || 'localhost:4318', !tls.insecure)
  url.pathname = url.pathname.replace(/\/$/, '').replace(/\/v1\/traces$/, '') + '/v1/traces'
  return url.href
}

/** OTLP to Jaeger. */
export const jaeger = defineExporter<Config>({
  type: 'jaeger',
  stability: 'beta',
  runs: 'each',
  summary: 'Sends traces to Jaeger, as OTLP with the ports and the limits that Jaeger has by default.',
  signals: ['traces'],
  ordering: 'none',
  config,
  examples: [
    { title: 'Jaeger in the same cluster', config: { endpoint: 'jaeger-collector:4317' } },
    {
      title: 'Over HTTP, through an ingress with TLS that wants a token',
      config: {
        protocol: 'http',
        endpoint: 'https://jaeger.example.com',
        headers: { authorization: 'Bearer ${env:JAEGER_TOKEN}' },
      },
    },
  ],
  touches(_config) {
    return []
  },
  create(config, context) {
    return { ...sender(config, context), fits: ({ byteLength }) => byteLength <= largest[config.protocol] }
  },
})

/** Bytes of the largest request that Jaeger takes unless it is told otherwise, before compression. */
const largest = { grpc: 4 << 20, http: 20 << 20 }

function sender(config: Config, context: ExporterContext): Exporter {
  const address = addressOf(config)
  const overHttp = config.protocol === 'http'
  warnOfPlainSecrets(config, address, context.log)
  const made = overHttp
    ? new OtlpHttp(config, context, new Map([['traces', new URL(address)]]))
    : new OtlpGrpc({ ...config, endpoint: address }, context)
  return {
    start: () => made.start(),
    send: (batch, attempt) => made.send(batch, attempt),
    stop: () => made.stop(),
    check: () => made.check(),
  }
}

/** TLS is off by itself, so nobody may have noticed. */
function warnOfPlainSecrets({ tls, auth, headers }: Config, address: string, log: Logger): void {
  const secure = !tls.insecure || /^https:/i.test(address)
  if (secure || (auth === undefined && Object.keys(headers).length === 0)) return
  if (/^(?:http:\/\/)?(?:localhost|127\.[\d.]+|\[::1\])(?:[:/]|$)|^unix:/i.test(address)) return
  log.warn({ endpoint: shownUrl(address) }, 'credentials are sent without TLS; set `tls: {}` if Jaeger listens with it')
}
