/** What Datadog is told of the host Kymo runs on, so that it stands in its list of hosts with its tags. */
import { Canceller } from '../../core/cancellation.ts'
import { arch, cpus, hostname, platform, release, totalmem } from 'node:os'
import { Batch } from '../../core/batch.ts'
import type { Timer } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { nobody } from '../../core/own-batch.ts'
import { compress } from '../../net/compression.ts'
import { userAgent } from '../../net/user-agent.ts'
import { originOf } from '../../backends/datadog/host.ts'
import { WireError } from '../../proto/wire.ts'
import type { Target } from '../http-push.ts'
import { checkAnswer, type Intake } from './intake.ts'

/** How long after it was not heard it is told again, in milliseconds. */
const soon = 60_000

/** Tells at once, as soon as the name is known, and then every now and again. */
export class HostMetadata {
  readonly #intake: Intake
  readonly #target: Target
  readonly #stopped = new Canceller()
  #name: string | undefined
  #timer: Timer | undefined

  constructor(intake: Intake) {
    this.#intake = intake
    this.#target = intake.target('metrics', '/intake/', 'application/json')
    if (intake.config.host_metadata.hostname_source === 'config_or_system') this.#name = intake.hostname
  }

  start(): void {
    if (this.#name !== undefined) this.#begin()
  }

  /** Looks at data for the name of the host, where that is to be the one of the first resource. */
  see(batch: Batch): void {
    if (this.#name !== undefined || this.#stopped.isCancelled) return
    const [group] = batch.groups
    if (group === undefined) return
    this.#name = this.#nameIn(group.resource, group.resourceStart, group.resourceEnd) ?? this.#intake.hostname
    this.#begin()
  }

  #nameIn(bytes: Buffer, start: number, end: number): string | undefined {
    try {
      const origin = originOf(bytes, start, end)
      return origin?.kind === 'host' ? origin.name : undefined
    } catch (error) {
      if (error instanceof WireError) return undefined
      throw error
    }
  }

  #begin(): void {
    void this.#tell().then(told => {
      if (this.#stopped.isCancelled) return
      const { reporter_period } = this.#intake.config.host_metadata
      this.#timer = this.#intake.context.clock.after(told ? reporter_period : soon, () => this.#begin())
    })
  }

  /** Tells, and says whether that was heard. */
  async #tell(): Promise<boolean> {
    const { push, context, config } = this.#intake
    const encoding = config.compression ?? 'gzip'
    try {
      const plain = Buffer.from(JSON.stringify(this.#payload()))
      const body = encoding === 'none' ? plain : await compress(encoding, undefined, plain)
      // What is told is about the host, not of anybody's data.
      const batch = new Batch('metrics', [], 0, nobody, [])
      checkAnswer(await push.post(this.#target, batch, body, this.#stopped), this.#target.name)
      return true
    } catch (error) {
      if (!this.#stopped.isCancelled) {
        context.log.warn({ error: messageOf(error) }, 'the host metadata were not taken; they are sent again')
      }
      return false
    }
  }

  #payload(): object {
    const name = this.#name ?? this.#intake.hostname
    const { tags } = this.#intake.config.host_metadata
    const processors = cpus()
    return {
      meta: { hostname: name, 'socket-hostname': hostname(), host_aliases: [] },
      internalHostname: name,
      otel_version: userAgent.split('/')[1],
      'agent-flavor': 'kymo',
      'host-tags': tags.length > 0 ? { otel: tags } : {},
      // A text of its own, with the Agent's names; what is not known is not in it.
      gohai: JSON.stringify({
        platform: { hostname: hostname(), os: platform(), kernel_release: release(), machine: arch() },
        cpu: { cpu_logical_processors: String(processors.length), model_name: processors[0]?.model ?? '' },
        memory: { total: `${Math.floor(totalmem() / 1024)}kB` },
      }),
    }
  }

  stop(): void {
    this.#stopped.cancel()
    this.#timer?.cancel()
  }
}
