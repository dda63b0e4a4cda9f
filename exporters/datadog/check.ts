/** Whether Datadog knows the key, and whether its intakes can be reached. */
import type { Cancellation } from '../../core/cancellation.ts'
import type { Checkable, CheckFinding } from '../../core/check.ts'
import type { Signal } from '../../proto/signals.ts'
import type { HttpAnswer } from '../../net/http-client.ts'
import { type CheckRequest, httpCheckable } from '../check-request.ts'
import type { Intake } from './intake.ts'

/**
 * The intake of each signal: the way there, and the key, which is the same everywhere and which only the one of metrics can be asked for
 * without storing anything.
 */
export function intakeChecks(intake: Intake, signals: ReadonlySet<Signal>): readonly Checkable[] {
  const { config, push } = intake
  const validate = intake.target('metrics', '/api/v1/validate', 'application/json')
  return [...signals].map(signal => {
    const question: CheckRequest = {
      step: 'api key',
      ask: (cancellation: Cancellation) => push.get(validate, cancellation),
      known,
      // What cannot be asked may still take data.
      isAside: signal !== 'metrics',
    }
    return httpCheckable({
      config,
      target: signal === 'metrics' ? validate : intake.target(signal, '', 'application/json'),
      signals: [signal],
      start: () => push.start(),
      requests: [question],
      key: 'api.key` with `api.site',
    })
  })
}

function known({ status }: HttpAnswer): CheckFinding | undefined {
  const facts = { status }
  if (status === 200) return { text: 'HTTP 200: the key is known', facts }
  // What stands in the place of Datadog (an Agent, a proxy) need not know the question.
  return status === 404
    ? { text: 'HTTP 404: what is there cannot be asked whether it knows the key', isWarning: true, facts }
    : undefined
}
