/** Asks Datadog whether it knows the API key. */
import { Canceller } from '../../core/cancellation.ts'
import { ConfigError, messageOf } from '../../core/errors.ts'
import type { HttpAnswer } from '../../net/http-client.ts'
import type { Intake } from './intake.ts'

/** One question, which a stop ends. */
export class KeyCheck {
  readonly #intake: Intake
  readonly #stopped = new Canceller()

  constructor(intake: Intake) {
    this.#intake = intake
  }

  /**
   * Asks. The answer comes later, into the status; only where it is to be fatal is it waited for.
   * @throws ConfigError
   */
  async start(): Promise<void> {
    const { config, context } = this.#intake
    const asking = this.#ask().then(
      ({ status }) => {
        if (status !== 401 && status !== 403) return
        const what = `Datadog (${config.api.site}) does not know the API key (HTTP ${status}): check \`api.key\` and \`api.site\``
        if (config.api.fail_on_invalid_key)
          throw new ConfigError('CONFIG_INVALID_VALUE', `exporter ${context.id}: ${what}`)
        context.status.set('RecoverableError', what)
        context.log.warn({}, what)
      },
      (error: unknown) => {
        if (this.#stopped.isCancelled) return
        context.log.warn(
          { error: messageOf(error) },
          'the API key could not be checked; data is sent with it nonetheless',
        )
      },
    )
    if (config.api.fail_on_invalid_key) await asking
  }

  stop(): void {
    this.#stopped.cancel()
  }

  #ask(): Promise<HttpAnswer> {
    const { push } = this.#intake
    return push.get(this.#intake.target('metrics', '/api/v1/validate', 'application/json'), this.#stopped)
  }
}
