/** Logs for Datadog's log intake (v2): a JSON array of entries. */
import type { Cancellation } from '../../core/cancellation.ts'
import type { Batch } from '../../core/batch.ts'
import type { ExporterContext, Sent } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Blocks } from '../../backends/datadog/log-block.ts'
import { logEntries } from '../../backends/datadog/logs.ts'
import { WireError } from '../../proto/wire.ts'
import type { Target } from '../http-push.ts'
import type { DatadogConfig } from './config.ts'
import { Intake, tooLarge } from './intake.ts'

/** What the intake takes in one request: entries, and bytes before they are compressed. */
const mostEntries = 1000
const mostBytes = 5_000_000
/** What one entry may have; the intake would cut it without a mark. */
const mostOfOne = 1_000_000

/** Sends logs. */
export class DatadogLogs {
  readonly #intake: Intake
  readonly #target: Target
  readonly #blocks: Blocks

  constructor(config: DatadogConfig, context: ExporterContext) {
    const { use_compression, compression_level } = config.logs
    const byGzip = config.compression === 'gzip'
    const off = !use_compression || (byGzip && compression_level === 0)
    const level = byGzip ? compression_level : undefined
    const changed = {
      ...(off ? { compression: 'none' as const } : {}),
      ...(level === undefined ? {} : { compression_params: { level } }),
    }
    this.#intake = new Intake({ ...config, ...changed }, context, 'zstd')
    this.#target = this.#intake.target('logs', '/api/v2/logs', 'application/json')
    this.#blocks = new Blocks(this.#intake.hostname)
  }

  start(): void {
    this.#intake.push.start()
  }

  fits(batch: Batch): boolean {
    return batch.items <= mostEntries && sizeOf(batch) <= mostBytes
  }

  async send(batch: Batch, cancellation: Cancellation): Promise<Sent | undefined> {
    const { body, cut } = entriesOf(batch, this.#blocks, this.#intake)
    if (body.length > mostBytes) {
      this.#intake.push.budget?.pool.give(body)
      throw tooLarge(this.#target, body.length, mostBytes, batch)
    }
    await this.#intake.send(this.#target, batch, body, cancellation)
    return cut === 0
      ? undefined
      : { rejected: 0, message: `${cut} of ${batch.items} logs were cut to ${mostOfOne} bytes` }
  }

  stop(): Promise<void> {
    return this.#intake.push.stop()
  }
}

/** About how many bytes the entries have: each repeats what its resource says, as attributes and as tags. */
function sizeOf({ groups }: Batch): number {
  let size = 0
  for (const group of groups) {
    const resource = group.resourceEnd - group.resourceStart
    size += (group.end - group.start) * 1.3 + group.items * (resource * 2 + 250)
  }
  return size
}

function entriesOf(batch: Batch, blocks: Blocks, { push }: Intake): { body: Buffer; cut: number } {
  try {
    return logEntries(
      batch.groups,
      Math.ceil(Math.min(sizeOf(batch), mostBytes)) + 1024,
      blocks,
      mostOfOne,
      push.budget?.pool,
    )
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    // Receivers check framing; what is wrong deeper down is found here.
    const message = `logs cannot be read: ${error.message}`
    throw new DeliveryError('DELIVERY_REJECTED', 'rejected', message, { cause: error })
  }
}
