/** The configurations that reloads go through: what is switched from one to the next, and what comes of it. */
import { join } from 'node:path'

/** Where it listens, and where its destination does. */
export interface Ports {
  readonly grpc: number
  readonly http: number
  readonly tls: number
  readonly admin: number
  readonly sink: number
}

/** What is switched from one configuration to the next. */
export class Settings {
  tls = false
  receiver = false
  step = false
  order = false
  exporter = false
  swapped = false
  extra = false
  readonly durable: boolean

  constructor(durable: boolean) {
    this.durable = durable
  }

  /** The configuration, as YAML that is JSON. */
  text({ grpc, http, tls, admin, sink }: Ports, folder: string, more: object = {}): string {
    const end = (port: number) => ({ endpoint: `127.0.0.1:${port}` })
    const size = this.receiver ? 8 : 4
    const out = `otlp_grpc/${this.swapped ? 'b' : 'a'}`
    const exporter = {
      ...end(sink),
      tls: { insecure: true },
      compression: 'none',
      timeout: this.exporter ? '4s' : '5s',
      retry_on_failure: { initial_interval: '20ms', max_interval: '100ms' },
      sending_queue: { queue_size: 50, ...(this.durable ? { storage: 'file_storage' } : {}) },
    }
    const steps = this.order ? ['resource', 'batch'] : ['batch', 'resource']
    const pipeline = { receivers: ['otlp', 'otlp/tls'], processors: steps, exporters: [out] }
    return JSON.stringify({
      receivers: {
        otlp: {
          protocols: {
            grpc: { ...end(grpc), max_recv_msg_size_mib: size },
            http: { ...end(http), include_metadata: this.receiver },
          },
        },
        'otlp/tls': {
          protocols: {
            grpc: {
              ...end(tls),
              tls: {
                cert_file: join(folder, 'cert.pem'),
                key_file: join(folder, 'key.pem'),
                min_version: this.tls ? '1.3' : '1.2',
              },
            },
          },
        },
      },
      processors: {
        batch: { timeout: this.step ? '20ms' : '10ms' },
        resource: { attributes: [{ key: 'from', value: this.step ? 'b' : 'a', action: 'upsert' }] },
      },
      exporters: { [out]: exporter, ...(this.extra ? { nop: {} } : {}) },
      extensions: this.durable ? { file_storage: { directory: join(folder, 'queues'), create_directory: true } } : {},
      service: {
        extensions: this.durable ? ['file_storage'] : [],
        telemetry: {
          logs: { level: 'warn' },
          metrics: { readers: [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: admin } } } }] },
        },
        pipelines: {
          traces: pipeline,
          logs: pipeline,
          ...(this.extra ? { 'traces/extra': { receivers: ['otlp'], exporters: ['nop'] } } : {}),
        },
      },
      ...more,
    })
  }
}

type Switch = Exclude<keyof Settings, 'text' | 'durable'>
const switches: readonly Switch[] = ['tls', 'receiver', 'step', 'order', 'exporter', 'swapped', 'extra']
/** Ways in which the next configuration differs. */
export const kinds = [...switches, 'unchanged', 'wrong', 'unstartable'] as const

/** One of them. */
export type Kind = (typeof kinds)[number]

/** How a reload of this kind is to end. */
export function wanted(kind: Kind): string {
  if (kind === 'unchanged') return 'unchanged'
  return kind === 'wrong' || kind === 'unstartable' ? 'failed' : 'applied'
}

/** The next configuration of this kind. */
export function next(
  settings: Settings,
  kind: Kind,
  { ports, folder }: { readonly ports: Ports; readonly folder: string },
): string {
  if (kind === 'wrong') return settings.text(ports, folder, { exporters: { 'otlp_grpc/a': { endpiont: 'nowhere' } } })
  if (kind === 'unstartable') {
    const changed = Object.assign(new Settings(settings.durable), settings, { exporter: !settings.exporter })
    // The admin server has that port.
    return changed.text({ ...ports, tls: ports.admin }, folder)
  }
  if (kind !== 'unchanged') settings[kind] = !settings[kind]
  return settings.text(ports, folder)
}
