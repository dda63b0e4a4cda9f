import * as z from 'zod'
import { budgetKey } from '../../core/budget.ts'
import { serverAuthenticatorKey } from '../../core/auth.ts'
import { defineReceiver, type ReceiverContext } from '../../core/component.ts'
import type { Admission } from '../../net/admission.ts'
import { CertificateStatus } from '../../net/certificate-status.ts'
import { GrpcServer } from '../../net/grpc-server.ts'
import { grpcServer, type GrpcServerConfig } from '../../net/grpc-server-keys.ts'
import { jsonFormat, protobufFormat } from '../../net/http-exchange.ts'
import { HttpServer } from '../../net/http-server.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { type Accept, type Binding, listenersKey } from '../../net/listeners.ts'
import { peerName } from '../../net/occupancy.ts'
import type { Context } from '../../core/context.ts'
import { sendersKey } from '../../core/senders.ts'
import { Standing, suspectsKey } from '../../core/standing.ts'
import type { Keeping } from '../../core/touch.ts'
import { allSignals, type Signal, signals } from '../../proto/signals.ts'
import { grpcHandler, httpHandler } from './answers.ts'

const enabled = { enabled: z.boolean().default(true).describe('Off: this protocol is not served.') }
const path = (signal: Signal) =>
  z
    .string()
    .default(signals[signal].path)
    .transform(path => (path.startsWith('/') ? path : `/${path}`))
    .describe(`Path of ${signals[signal].noun}.`)

const grpc = grpcServer({ endpoint: 'localhost:4317' }).safeExtend(enabled)
const http = httpServer({ endpoint: 'localhost:4318' }).safeExtend({
  ...enabled,
  traces_url_path: path('traces'),
  metrics_url_path: path('metrics'),
  logs_url_path: path('logs'),
})
type HttpConfig = z.output<typeof http>

/** A protocol that is named without settings is served with its defaults. */
const protocols = z.preprocess(
  value => {
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, settings]) => [name, settings ?? {}]))
  },
  z.strictObject({
    grpc: grpc.optional().describe('OTLP over gRPC.'),
    http: http.optional().describe('OTLP over HTTP, as protobuf or JSON.'),
  }),
)

const config = z.strictObject({
  protocols: protocols
    .refine(p => Boolean(p.grpc?.enabled) || Boolean(p.http?.enabled), {
      error: 'name at least one protocol to serve: `grpc`, `http`',
    })
    .describe('What to serve; each protocol that is named is served.'),
})
type Config = z.output<typeof config>

/** How long requests may take to finish when the receiver stops, in milliseconds. */
const stopDeadline = 5000

export const otlp = defineReceiver({
  type: 'otlp',
  stability: 'beta',
  runs: 'each',
  summary: 'Takes in OTLP over gRPC and HTTP.',
  signals: allSignals,
  config,
  examples: [
    { title: 'Both protocols, for this machine only', config: { protocols: { grpc: null, http: null } } },
    {
      title: 'For the network, with certificates and request headers',
      config: {
        protocols: {
          grpc: {
            endpoint: '0.0.0.0:4317',
            include_metadata: true,
            tls: { cert_file: '/etc/kymo/tls.crt', key_file: '/etc/kymo/tls.key' },
          },
        },
      },
    },
    {
      title: 'For senders that have a token, which the extension `bearertokenauth` checks',
      config: { protocols: { http: { endpoint: '0.0.0.0:4318', auth: { authenticator: 'bearertokenauth' } } } },
    },
  ],

  keeps({ protocols }) {
    return Object.entries(protocols).flatMap(([name, protocol]): Keeping[] => {
      if (!protocol?.enabled) return []
      const at = `protocols.${name}`
      return [
        { what: 'metadata', key: `${at}.include_metadata`, kept: protocol.include_metadata },
        { what: 'auth', key: `${at}.auth`, kept: protocol.auth !== undefined },
      ]
    })
  },

  create(config: Config, context: ReceiverContext) {
    return new OtlpReceiver(config, context)
  },
})

/** Serves the protocols of one `otlp` receiver. */
class OtlpReceiver {
  readonly #config: Config
  readonly #context: ReceiverContext
  readonly #certificates: CertificateStatus
  readonly #bindings: Binding[] = []
  readonly #servers: { stop(deadline: number, replaced: boolean): Promise<void> }[] = []

  constructor(config: Config, context: ReceiverContext) {
    this.#config = config
    this.#context = context
    this.#certificates = new CertificateStatus(context.status, true)
  }

  async start(): Promise<void> {
    const { grpc, http } = this.#config.protocols
    if (grpc?.enabled) await this.#startGrpc(grpc)
    if (http?.enabled) await this.#startHttp(http)
  }

  async #startGrpc(config: GrpcServerConfig): Promise<void> {
    const server = new GrpcServer<Context>({ config, ...this.#options('grpc', config) })
    this.#open('grpc', server.admission)
    this.#servers.push(server)
    for (const signal of this.#context.signals) {
      server.register(signals[signal].grpcPath, grpcHandler(this.#context, signal, config.include_metadata))
    }
    await this.#listen('grpc', config, server.accept)
  }

  async #startHttp(config: HttpConfig): Promise<void> {
    const server = new HttpServer<Context>({ config, ...this.#options('http', config) })
    this.#open('http', server.admission)
    this.#servers.push(server)
    for (const signal of this.#context.signals) {
      const handler = httpHandler(this.#context, signal, config.include_metadata)
      server.register(config[`${signal}_url_path`], [protobufFormat, jsonFormat], handler)
    }
    await server.ready()
    await this.#listen('http', config, server.accept)
  }

  /** What is turned away by `admission` stands in the books. */
  #open(transport: 'grpc' | 'http', admission: Admission): void {
    const usage = () => admission.occupancy.usage
    this.#context.door(transport, admission.refusals, { usage, tallies: () => admission.tallies })
  }

  #options(transport: 'grpc' | 'http', config: GrpcServerConfig | HttpConfig) {
    const { id, host, log } = this.#context
    const { auth } = config
    const suspects = host.find(suspectsKey)
    const senders = host.find(sendersKey)
    return {
      budget: host.get(budgetKey),
      log,
      authenticator: auth && this.#context.extension(auth.authenticator, serverAuthenticatorKey),
      connected: (peer: string): Context => ({
        receiver: id,
        transport,
        peer: peer || undefined,
        metadata: undefined,
        auth: undefined,
        standing: suspects && new Standing(suspects, addressOf(peer)),
      }),
      reception: senders && { place: { receiver: id, transport }, senders },
      presented: host.get(listenersKey).presented(config.endpoint, config.transport),
      onTls: (error: string | undefined) => {
        this.#certificates.tell(transport, error)
        if (error === undefined) log.info({ transport }, 'certificates are in use')
        else log.warn({ transport, error }, 'certificates cannot be used; they are tried again')
      },
    }
  }

  async #listen(
    transport: 'grpc' | 'http',
    config: { readonly endpoint: string; readonly transport: string },
    accept: Accept,
  ): Promise<void> {
    const listeners = this.#context.host.get(listenersKey)
    const binding = await listeners.listen(config.endpoint, accept, this.#context.id, config.transport)
    this.#bindings.push(binding)
    this.#context.log.info({ protocol: transport, endpoint: binding.address }, 'listening')
  }

  async stop(): Promise<void> {
    const bindings = this.#bindings.splice(0)
    const replaced = bindings.some(binding => binding.replaced)
    await Promise.all(bindings.map(binding => binding.close()))
    await Promise.all(this.#servers.splice(0).map(server => server.stop(stopDeadline, replaced)))
  }
}

/** The machine behind a peer, of which each connection has another port; undefined on unix sockets. */
function addressOf(peer: string): string | undefined {
  return peer === '' ? undefined : peerName(peer.slice(0, peer.lastIndexOf(':')))
}
