/** A whole service in this process: configuration, log, graph, admin server. */
import { components } from './components.ts'
import { loadPlan } from '../../plan/load.ts'
import { Graph } from '../../pipelines/graph/graph.ts'
import { Service } from '../../service/service.ts'
import type { ServicePlan } from '../../service/service-plan.ts'
import { ownTelemetry } from '../../service/settings.ts'
import type { TelemetryConfig } from '../../telemetry/config.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { SelfReport } from '../../telemetry/self-report.ts'

/** One that runs. */
export interface RunningService {
  readonly service: Service
  readonly report: SelfReport
  /** Lines of its log, as JSON. */
  readonly lines: Record<string, unknown>[]
  /** Where receivers listen, in the order of the log. */
  readonly endpoints: string[]
  page(path: string): Promise<string>
  /** Stops it; its books must balance. */
  stop(): Promise<void>
}

/** Starts `yaml` as the command line does. */
export async function runService(
  yaml: string,
  env: NodeJS.ProcessEnv = {},
  more: Pick<ServicePlan, 'clock'> = {},
): Promise<RunningService> {
  const read = (text: string) => loadPlan({ sources: [`yaml:${text}`], components, env })
  const loaded = read(yaml)
  const own = ownTelemetry(loaded.telemetry, {}, '1.2.3')
  const report = new SelfReport(own.resource, '1.2.3')
  const lines: Record<string, unknown>[] = []
  const sink = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>), flush() {} }
  const log = createLogger({ ...own.logs, encoding: 'json' }, sink, report)
  const applyTelemetry = (changed: TelemetryConfig) => log.setLevels(ownTelemetry(changed, {}, '1.2.3').logs)
  const service = new Service({
    ...more,
    graph: surroundings => new Graph(loaded.plan, surroundings),
    log,
    logs: log,
    version: '1.2.3',
    admin: { ...own.admin, endpoint: '127.0.0.1:0' },
    own: { ...own, report },
    reload: { load: (text = yaml) => read(text), first: loaded, deadline: 500, applyTelemetry },
  })
  await service.start()
  return {
    service,
    report,
    lines,
    endpoints: lines.filter(({ msg }) => msg === 'listening').map(({ endpoint }) => String(endpoint)),
    page: async path => (await fetch(`http://${service.adminAddress}${path}`)).text(),
    async stop() {
      await service.stop(500)
      const faults = service.books.faults()
      if (faults.length > 0) throw new Error(faults.join('; '))
    },
  }
}
