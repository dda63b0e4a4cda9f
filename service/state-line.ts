/** What the log says of a component that is in another state than before. */
import type { Kind } from '../core/component.ts'
import type { Logger } from '../core/logger.ts'
import type { State, Status } from '../core/status.ts'

/** Writes it; `from` is the state before. */
export function stateLine(log: Logger, component: { kind: Kind; id: string }, status: Status, from: State): void {
  const { kind, id } = component
  const fields = { kind, id, from, error: status.lastError }
  switch (status.state) {
    case 'PermanentError':
    case 'FatalError':
      log.error(fields, `${kind} ${id} is in state ${status.state}`)
      return
    case 'RecoverableError':
      log.warn(fields, `${kind} ${id} is in state ${status.state}`)
      return
    case 'OK':
      if (from === 'RecoverableError') log.info({ kind, id }, `${kind} ${id} has recovered`)
      return
    case 'None':
    case 'Starting':
    case 'Stopping':
    case 'Stopped':
      log.debug({ kind, id, from }, `${kind} ${id} is in state ${status.state}`)
  }
}
