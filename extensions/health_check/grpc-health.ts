/**
 * The health service of gRPC (grpc.health.v1, github.com/grpc/grpc, doc/health-checking.md):
 *
 *   HealthCheckRequest  { string service = 1 }
 *   HealthCheckResponse { enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2 } status = 1 }
 */
import { budgetKey } from '../../core/budget.ts'
import { serverAuthenticatorKey } from '../../core/auth.ts'
import type { ComponentContext } from '../../core/component.ts'
import type { CertificateStatus } from '../../net/certificate-status.ts'
import { GrpcServer } from '../../net/grpc-server.ts'
import type { GrpcServerConfig } from '../../net/grpc-server-keys.ts'
import { type Binding, listenersKey } from '../../net/listeners.ts'
import { GrpcCode } from '../../proto/status.ts'
import { Cursor, WireError } from '../../proto/wire.ts'

/** Whether a service is fit; undefined where there is none of that name. The empty name stands for the process. */
export type ServingOf = (service: string) => boolean | undefined

const serving = Buffer.from([0x08, 1])
const notServing = Buffer.from([0x08, 2])

/** How long calls may take to finish when the extension stops, in milliseconds. */
const stopDeadline = 1000

/** Serves `Check`. `Watch` is a stream, which this server does not speak. */
export class GrpcHealth {
  readonly #config: GrpcServerConfig
  readonly #context: ComponentContext
  readonly #servingOf: ServingOf
  readonly #certificates: CertificateStatus
  #server: GrpcServer<undefined> | undefined
  #binding: Binding | undefined

  constructor(
    config: GrpcServerConfig,
    context: ComponentContext,
    servingOf: ServingOf,
    certificates: CertificateStatus,
  ) {
    this.#config = config
    this.#context = context
    this.#servingOf = servingOf
    this.#certificates = certificates
  }

  async start(): Promise<void> {
    const { id, log, host } = this.#context
    const { auth, endpoint, transport } = this.#config
    const budget = host.get(budgetKey)
    const listeners = host.get(listenersKey)
    const server = new GrpcServer<undefined>({
      config: this.#config,
      budget,
      log,
      authenticator: auth && this.#context.extension(auth.authenticator, serverAuthenticatorKey),
      connected: () => undefined,
      presented: listeners.presented(endpoint, transport),
      onTls: error => this.#certificates.tell('grpc', error),
    })
    this.#server = server
    server.register('/grpc.health.v1.Health/Check', call => {
      const service = serviceIn(call.body)
      budget.release(call.charge)
      budget.pool.give(call.body)
      if (service === undefined) {
        call.fail({ code: GrpcCode.INVALID_ARGUMENT, message: 'the request cannot be read' })
        return
      }
      const isServing = this.#servingOf(service)
      if (isServing === undefined) call.fail({ code: GrpcCode.NOT_FOUND, message: `no service ${service}` })
      else call.reply(isServing ? serving : notServing)
    })
    this.#binding = await listeners.listen(endpoint, server.accept, id, transport)
    log.info({ protocol: 'grpc', endpoint: this.#binding.address }, 'listening')
  }

  async stop(): Promise<void> {
    const replaced = this.#binding?.replaced
    await Promise.all([this.#binding?.close(), this.#server?.stop(stopDeadline, replaced)])
  }
}

/** The name that is asked for; undefined when the request is none. */
function serviceIn(body: Buffer): string | undefined {
  let service = ''
  try {
    const cursor = new Cursor(body)
    while (cursor.at < body.length) {
      const tag = cursor.tag()
      if (tag !== 0x0a) cursor.skip(tag)
      else {
        const length = cursor.length()
        service = body.toString('utf8', cursor.at, cursor.at + length)
        cursor.at += length
      }
    }
    return service
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
