/** `kymo run`: configuration, log, service, until a signal. */
import { messageOf } from '../core/errors.ts'
import { Graph } from '../pipelines/graph.ts'
import { exitCodes, runToEnd } from '../service/process.ts'
import { collectGarbage, tuneForLoad } from '../service/memory.ts'
import { Service } from '../service/service.ts'
import { type OwnTelemetry, ownTelemetry } from '../service/settings.ts'
import { createLogger, openSink } from '../telemetry/logger.ts'
import { SelfReport } from '../telemetry/self-report.ts'
import type { RunOptions } from './commands.ts'
import { load } from './load.ts'

/** Runs until it is told to stop; resolves to the exit code. */
export async function run(options: RunOptions & { readonly version: string }): Promise<number> {
  // What loading left behind goes before the rest is added to it: 6 MiB less at the highest.
  collectGarbage()
  const { config, shutdownTimeout, version } = options
  const loaded = load(options)
  if (loaded === undefined) return exitCodes.failed
  let own: OwnTelemetry
  try {
    own = ownTelemetry(loaded.telemetry, process.env, version)
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    return exitCodes.failed
  }
  const sink = openSink(own.logPath)
  const report = new SelfReport(own.resource, version)
  const log = createLogger(own.logs, sink, report)
  for (const { code, message, position, hint } of loaded.warnings) log.warn({ code, ...position, hint }, message)
  for (const message of own.warnings) log.warn({}, message)
  for (const message of loaded.notes) log.info({}, message)
  if (config.length === 0) log.info({}, 'no --config: running the built-in configuration; `kymo --help` tells more')
  const service = new Service({
    graph: surroundings => new Graph(loaded.configured, surroundings),
    log,
    version,
    admin: own.admin,
    own: { ...own, report },
  })
  const runnable = {
    async start() {
      await service.start()
      tuneForLoad()
    },
    stop: (deadline: number) => service.stop(deadline),
    countFault: () => service.countFault(),
  }
  return runToEnd(runnable, { log, flush: () => sink.flush(), shutdownTimeout })
}
