/** `kymo run`: configuration, log, service, until a signal. */
import { components } from '../components.ts'
import { type ApartOptions, loadApart } from '../plan/load-apart.ts'
import { readText, splitUri } from '../config/sources.ts'
import { messageOf } from '../core/errors.ts'
import { Graph } from '../pipelines/graph/graph.ts'
import { planned, type Planned } from '../plan/load.ts'
import { type Access, tokenAccess } from '../service/access.ts'
import { ConfigWatch } from '../service/config-watch.ts'
import { exitCodes, runToEnd } from '../service/process.ts'
import { collectAllGarbage, garbageAfter, tuneForLoad } from '../service/memory.ts'
import type { ReloadsParts } from '../service/reloads.ts'
import { Service } from '../service/service.ts'
import { type AdminPlace, adminPlace, type OwnTelemetry, ownTelemetry } from '../service/settings.ts'
import { createLogger, openSink, type RootLogger } from '../telemetry/logger.ts'
import { SelfReport } from '../telemetry/self-report.ts'
import { builtIn } from './built-in.ts'
import type { RunOptions } from './options.ts'
import { load } from './load.ts'
import { threadEntry } from './load-worker.ts'
import { ReadTexts } from './read-texts.ts'

/** Milliseconds after a reload in which it may be followed by others. */
const tidyAfter = 5000

/** Runs until it is told to stop; resolves to the exit code. */
export async function run(options: RunOptions & { readonly version: string }): Promise<number> {
  // What loading left behind goes before the rest is added to it: 6 MiB less at the highest.
  collectAllGarbage()
  const { config, shutdownTimeout, version } = options
  const read = new ReadTexts()
  const loaded = await load(options, noting(read))
  if (loaded === undefined) return exitCodes.failed
  let own: OwnTelemetry
  let place: AdminPlace
  let access: Access
  try {
    own = ownTelemetry(loaded.telemetry, process.env, version)
    place = adminPlace(options, process.env)
    access = tokenAccess(process.env, options.adminReads)
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
  const { plan } = loaded
  const files = new Set(read.paths)
  const service = new Service({
    graph: surroundings => new Graph(plan, surroundings),
    log,
    logs: log,
    version,
    admin: { ...own.admin, ...place },
    own: { ...own, report },
    reload: reloading(options, loaded, { read, files }, log),
    access,
  })
  const watch = options.watch === true ? watching(options, files, service, log) : undefined
  const runnable = {
    async start() {
      // First, so that nothing changes unseen.
      await watch?.start()
      await service.start()
      tuneForLoad()
    },
    stop(deadline: number) {
      watch?.stop()
      return service.stop(deadline)
    },
    countFault: () => service.countFault(),
    reload: () => void service.reload({ trigger: 'SIGHUP' }),
  }
  return runToEnd(runnable, { log, flush: () => sink.flush(), shutdownTimeout })
}

/** Reads files, and notes which, and what was in them. */
function noting(read: ReadTexts): (path: string) => string {
  return path => {
    // What cannot be read is one of them, too.
    read.note(path, '')
    const text = readText(path)
    read.note(path, text)
    return text
  }
}

function reloading(
  { config, set, featureGates, shutdownTimeout, version }: RunOptions & { readonly version: string },
  { plan, telemetry, hash }: Planned,
  { read, files }: { readonly read: ReadTexts; readonly files: Set<string> },
  log: RootLogger,
): Pick<ReloadsParts, 'load' | 'first' | 'deadline' | 'applyTelemetry'> {
  const { env } = process
  const tidy = garbageAfter(tidyAfter)
  const common = { sources: config, sets: set, env, builtIn, gates: featureGates }
  const apart = { components, entry: threadEntry }
  const printing =
    (given: ApartOptions, texts: ReadTexts): (() => Promise<string>) =>
    async () => {
      const { printedApart } = await import('./printed-apart.ts')
      return printedApart(given, texts, apart)
    }
  return {
    first: { plan, telemetry, hash, warnings: [], print: printing(common, read) },
    deadline: shutdownTimeout,
    async load(text) {
      // Left to itself, V8 lets it grow to three times of what is needed.
      tidy()
      const found = new ReadTexts()
      const noted = { ...apart, note: (path: string, content: string) => found.note(path, content) }
      if (text !== undefined) {
        const given = { ...common, text: { name: 'request body', text } }
        return { ...planned(await loadApart(given, noted)), print: printing(given, found) }
      }
      try {
        const loaded = await loadApart(common, noted)
        // What is not referred to any more need not be watched, unless it is wrong now and was right before.
        files.clear()
        return { ...planned(loaded), print: printing(common, found) }
      } finally {
        for (const file of found.paths) files.add(file)
      }
    },
    applyTelemetry: changed => log.setLevels(ownTelemetry(changed, env, version).logs),
  }
}

/** Takes over the configuration when files of it change. */
function watching({ config }: RunOptions, files: ReadonlySet<string>, service: Service, log: RootLogger): ConfigWatch {
  const given = config.flatMap(source => {
    const { scheme = 'file', rest } = splitUri(source)
    return scheme === 'file' ? [rest] : []
  })
  return new ConfigWatch({
    files: () => [...given, ...files],
    onChange: async () => (await service.reload({ trigger: 'files' })).result !== 'refused',
    onFault(error) {
      service.countFault()
      log.error({ code: 'INTERNAL', error }, 'fault of Kymo, please report it; files are looked at again')
    },
  })
}
