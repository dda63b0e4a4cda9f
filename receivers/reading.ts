import type { ReceiverContext, Lifecycle } from '../core/component.ts'
import { pause } from '../core/clock.ts'
import { DeliveryError, messageOf } from '../core/errors.ts'

/** Waits before a session that failed is begun anew, in milliseconds. */
const waits = { first: 500, factor: 2, longest: 30_000 }
/** How long what was handed in may take to end when the source stops, in milliseconds. */
const stopDeadline = 5000

/**
 * A source that is read in sessions. One that throws, or is told to `fail`, is begun anew, later and later as long as nothing
 * else happens; `abort` ends it.
 */
export function reading(
  context: ReceiverContext,
  session: (abort: AbortSignal, fail: (error: Error) => void) => Promise<void>,
): Lifecycle {
  const stopping = new AbortController()
  const { clock, rooms, status, log, id } = context
  const again = async (): Promise<void> => {
    for (let wait = waits.first; !stopping.signal.aborted; wait = Math.min(wait * waits.factor, waits.longest)) {
      const one = new AbortController()
      const began = clock.now()
      try {
        await session(AbortSignal.any([stopping.signal, one.signal]), error => one.abort(error))
        return
      } catch (error) {
        if (stopping.signal.aborted) return
        status.set('RecoverableError', messageOf(error))
        log.warn({ error: messageOf(error) }, 'reading failed; it is begun anew')
      }
      if (clock.now() - began > waits.longest) wait = waits.first
      await pause(clock, wait, stopping.signal)
      status.set('OK')
    }
  }
  let running: Promise<void> | undefined
  return {
    run() {
      running = again()
    },
    async stop() {
      stopping.abort(new DeliveryError('DELIVERY_STOPPING', 'retry', `${id} is stopping`))
      rooms.stop()
      const late = clock.after(stopDeadline, () =>
        rooms.withdraw(new DeliveryError('DELIVERY_WITHDRAWN', 'retry', `${id} was stopped`)),
      )
      await running
      late.cancel()
    },
  }
}
