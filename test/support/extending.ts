/** What an extension needs to run by itself in a test. */
import type { ExtensionDefinition } from '../../core/component.ts'
import type { Extension } from '../../core/component.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import type { Context } from '../../core/context.ts'
import { clientAuthenticatorKey, serverAuthenticatorKey } from '../../core/auth.ts'
import { finderFor, offeredBy } from '../../core/capability.ts'
import { type Clock, machineClock } from '../../core/clock.ts'
import { type Health, healthKey } from '../../core/health.ts'
import { Host } from '../../core/host.ts'
import { Status } from '../../core/status.ts'
import { soleWorker, type WorkerPlace } from '../../core/worker.ts'
import { type Accept, type Binding, Listeners, listenersKey } from '../../net/listeners.ts'
import { keepingLogger, type Line } from './kymo.ts'
import { componentContext } from './contexts.ts'

/** A context of data that came with `more`. */
export const from = (more: Partial<Context> = {}): Context => ({
  receiver: 'otlp',
  transport: 'http',
  peer: undefined,
  metadata: undefined,
  auth: undefined,
  ...more,
})

/** Request headers as a context has them. */
export const metadata = (headers: Record<string, string | string[]>) =>
  new Map(Object.entries(headers).map(([name, value]) => [name, [value].flat()]))

/** Addresses in the order they were opened. */
class NotedListeners extends Listeners {
  readonly addresses: string[] = []

  override async listen(endpoint: string, accept: Accept, owner: string, transport?: string): Promise<Binding> {
    const binding = await super.listen(endpoint, accept, owner, transport)
    this.addresses.push(binding.address)
    return binding
  }
}

/** An extension of `definition`, not started. */
export function extensionOf(
  definition: ExtensionDefinition,
  config: object,
  more: { health?: Health; others?: Record<string, Extension>; clock?: Clock; worker?: WorkerPlace } = {},
) {
  const lines: Line[] = []
  const status = new Status()
  status.set('Starting')
  const listeners = new NotedListeners()
  const budget = new Budget(Infinity)
  const host = new Host().provide(listenersKey, listeners).provide(budgetKey, budget)
  if (more.health !== undefined) host.provide(healthKey, more.health)
  const extension = definition.create(definition.config.parse(config), {
    ...componentContext({
      id: definition.type,
      log: keepingLogger(lines),
      status,
      host,
      clock: more.clock ?? machineClock,
      worker: more.worker ?? soleWorker,
    }),
    extension: finderFor({ id: definition.type }, id => more.others?.[id]),
  })
  const stop = async () => {
    await extension.stop?.()
    await listeners.close()
  }
  return {
    extension,
    /** What it offers to servers and clients. */
    server: offeredBy(extension, serverAuthenticatorKey),
    client: offeredBy(extension, clientAuthenticatorKey),
    status,
    lines,
    budget,
    addresses: listeners.addresses,
    stop,
  }
}

/** Every complaint about `config`, as `path: message`. */
export function complaintsOf(definition: ExtensionDefinition, config: unknown): string[] {
  const result = definition.config.safeParse(config)
  return result.success ? [] : result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
}
