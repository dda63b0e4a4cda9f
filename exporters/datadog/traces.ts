/** Spans for Datadog's intake for traces. */
import type { Cancellation } from '../../core/cancellation.ts'
import type { Batch } from '../../core/batch.ts'
import type { Sent } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import { userAgent } from '../../net/user-agent.ts'
import { ownNames } from '../../backends/datadog/traces-group.ts'
import { payloadSize, TraceEncoder, type TracePayload } from '../../backends/datadog/traces.ts'
import { compilePattern } from '../../proto/pattern.ts'
import { WireError } from '../../proto/wire.ts'
import type { Target } from '../http-push.ts'
import { type Intake, tooLarge } from './intake.ts'

/** Largest payload that the intake takes, before it is compressed. */
const mostBytes = 3_200_000

/** Why spans are left out. */
const reasons: Readonly<Record<string, string>> = {
  ignore_resources: '`traces.ignore_resources` leaves their traces out',
  invalid_id: 'they have no trace id or span id',
  malformed: 'they cannot be read',
}

/** Sends traces. */
export class DatadogTraces {
  readonly #intake: Intake
  readonly #encoder: TraceEncoder
  readonly #target: Target

  constructor(intake: Intake) {
    this.#intake = intake
    const { traces } = intake.config
    this.#encoder = new TraceEncoder({
      names: ownNames(traces.span_name_as_resource_name, traces.span_name_remappings),
      ignored: traces.ignore_resources.map(compilePattern),
      topLevelByKind: traces.compute_top_level_by_span_kind,
      hostname: intake.hostname,
      agent: userAgent,
    })
    this.#target = intake.target('traces', '/api/v0.2/traces', 'application/x-protobuf')
  }

  /** Whether one payload can carry the batch. */
  fits({ groups }: Batch): boolean {
    return payloadSize(groups) <= mostBytes
  }

  async send(batch: Batch, cancellation: Cancellation): Promise<Sent | undefined> {
    const { body, spans, left } = this.#encode(batch)
    if (spans > 0) {
      if (body.length > mostBytes) {
        this.#intake.push.budget?.pool.give(body)
        throw tooLarge(this.#target, body.length, mostBytes, batch)
      }
      await this.#intake.send(this.#target, batch, body, cancellation)
    }
    const rejected = batch.items - spans
    if (rejected === 0) return undefined
    const message = Object.entries(left).map(([reason, n]) => `${n} spans are left out: ${reasons[reason] ?? reason}`)
    return { rejected, message: message.join('; '), reasons: left }
  }

  #encode(batch: Batch): TracePayload {
    try {
      return this.#encoder.encode(batch.groups, this.#intake.context.clock.wall(), this.#intake.push.budget?.pool)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      // Receivers check framing and resources; what is wrong deeper down is found here.
      const message = `cannot be written for Datadog: ${error.message}`
      throw new DeliveryError('DELIVERY_REJECTED', 'rejected', message, { cause: error })
    }
  }
}
