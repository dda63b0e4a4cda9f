/** What instances of one exporter know besides their data, from one to the next. */
import { messageOf } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { ExporterPart } from './part.ts'

/**
 * Offers what `from` knows to `to`, which has not started, and says whether it took it over. Whatever goes wrong there, it
 * begins with nothing.
 */
export function handOn(from: ExporterPart, to: ExporterPart, log: Logger): boolean {
  if (from.type !== to.type) return false
  try {
    const state = from.lifecycle.leave?.()
    // It is to be there at once; nobody would hear how a promise ends.
    if (state instanceof Promise) {
      state.catch(() => {})
      return false
    }
    return state !== undefined && to.lifecycle.adopt?.(state) === true
  } catch (error) {
    const { kind, id, status } = to
    log.error({ kind, id, error: status.tell(messageOf(error)) }, 'what it knew is not taken over: it begins anew')
    return false
  }
}
