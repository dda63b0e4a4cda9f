/** A service as a process of the system: signals, deadlines, faults, exit codes. */
import { constants } from 'node:os'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'

/** What the process ends with. */
export const exitCodes = {
  /** Stopped, and nothing was lost. */
  clean: 0,
  /** The configuration is wrong, or something could not start. */
  failed: 1,
  /** Stopped, but some items could not be delivered in time. */
  lost: 2,
  /** A fault of Kymo ended it. */
  fault: 70,
} as const

/** What is run. */
export interface Runnable {
  start(): Promise<void>
  stop(deadline: number): Promise<{ lost: number }>
  countFault(): void
  /** Looks whether the configuration has changed, and takes it over. Does not throw. */
  reload?(): void
}

/** How it is run. */
export interface ProcessOptions {
  readonly log: Logger
  /** Writes out the log lines that wait. */
  readonly flush: () => void
  /** Milliseconds the service has for stopping. */
  readonly shutdownTimeout: number
}

/** A terminal and npm both pass Ctrl-C on: within this many milliseconds it is the same press. */
const samePress = 500
/** Milliseconds beyond the deadline after which the service is not waited for. */
const grace = 2000

/** Runs `service` until a signal asks it to stop. Resolves to the exit code. */
export async function runToEnd(
  service: Runnable,
  { log: root, flush, shutdownTimeout }: ProcessOptions,
): Promise<number> {
  const log = root.child('process')
  const asked = Promise.withResolvers<NodeJS.Signals>()
  let first = -Infinity
  const onSignal = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    if (first === -Infinity) {
      first = now
      asked.resolve(signal)
    } else if (now - first > samePress) {
      log.warn({ signal }, 'second signal; ending at once, what is held is lost')
      flush()
      process.exit(128 + constants.signals[signal])
    }
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  process.on('SIGHUP', () => service.reload?.())
  watchFaults(service, log, flush)

  const started = service.start().then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  const failed = await Promise.race([started, asked.promise.then(() => undefined)])
  if (failed !== undefined) {
    log.error({ error: messageOf(failed.error) }, 'cannot start')
    flush()
    return exitCodes.failed
  }

  const signal = await asked.promise
  log.info({ signal, deadline: shutdownTimeout }, 'stopping; what is held is sent first')
  const stopped = await Promise.race([service.stop(shutdownTimeout), after(shutdownTimeout + grace)])
  if (stopped === undefined) log.error({ deadline: shutdownTimeout }, 'did not stop in time; what is held is lost')
  else if (stopped.lost === 0) log.info({}, 'stopped; nothing was lost')
  flush()
  return stopped?.lost === 0 ? exitCodes.clean : exitCodes.lost
}

function after(milliseconds: number): Promise<undefined> {
  return new Promise(resolve => setTimeout(resolve, milliseconds, undefined).unref())
}

/** A forgotten promise leaves the rest intact; after an exception out of nowhere nothing can be relied on. */
function watchFaults(service: Runnable, log: Logger, flush: () => void): void {
  process.on('unhandledRejection', error => {
    service.countFault()
    log.error({ code: 'INTERNAL', error }, 'fault of Kymo, please report it; going on')
  })
  process.on('uncaughtException', error => {
    log.error({ code: 'INTERNAL', error }, 'fault of Kymo, please report it; ending')
    flush()
    process.exit(exitCodes.fault)
  })
  // Whoever read our output is gone; that is no reason to stop moving data.
  process.stdout.on('error', error => log.debug({ error: messageOf(error) }, 'nobody reads standard output'))
}
