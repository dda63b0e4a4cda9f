/** A stand-in for Datadog's intake that decodes with Datadog's published types. */
import { dataFolder, ports, Server } from './server.ts'

/** What it keeps apart. */
export type IntakeKind = 'series' | 'sketches' | 'logs' | 'traces' | 'stats' | 'other'

/** A request as the intake saw it. */
export interface IntakeRequest {
  readonly time: string
  readonly path: string
  readonly status: number
  readonly error?: string
  readonly headers: Readonly<Record<string, readonly string[]>>
}

/** A running intake. */
export class Intake extends Server {
  static async launch(key?: string): Promise<Intake> {
    const [port] = await ports(1)
    const made = new Intake({
      name: 'dd-intake',
      folder: dataFolder('dd'),
      ready: { port, path: '/_/ready' },
      args: [],
    })
    made.letIn(key)
    await made.start()
    return made
  }

  /** From the next start on only this key is let in; any without. */
  letIn(key?: string): void {
    const args = ['-listen', `127.0.0.1:${this.run.ready.port}`, ...(key === undefined ? [] : ['-api-key', key])]
    this.run = { ...this.run, args }
  }

  /** Decoded payloads, one for each request. */
  items<T>(kind: IntakeKind): Promise<readonly T[]> {
    return this.get<T[]>('/_/items', { kind })
  }

  requests(): Promise<readonly IntakeRequest[]> {
    return this.get<IntakeRequest[]>('/_/requests')
  }

  /** The next `times` requests to `path` fail so. */
  async fail(path: string, code: number, { times = 1, retryAfter = 0 } = {}): Promise<void> {
    const query = new URLSearchParams({ path, code: `${code}`, times: `${times}`, retry_after: `${retryAfter}` })
    await fetch(`${this.url}/_/fail?${query.toString()}`, { method: 'POST' })
  }
}

/** Datadog's own test agent, which looks at what tracers send. */
export class TestAgent extends Server {
  static async launch(): Promise<TestAgent> {
    const [port, , http, grpc] = await ports(4)
    const args = ['--host', '127.0.0.1', '--port', port, '--otlp-http-port', http, '--otlp-grpc-port', grpc]
    const made = new TestAgent({
      name: 'dd-test-agent',
      folder: dataFolder('dd-agent'),
      ready: { port, path: '/info' },
      args: [...args.map(String), '--snapshot-dir', '.', '--disable-llmobs-data-forwarding'],
    })
    await made.start()
    return made
  }

  /** Hands it traces, as JSON in the form of its version 0.4; resolves to what it answers. */
  async take(traces: string, count: number): Promise<{ status: number; text: string }> {
    const headers = { 'content-type': 'application/json', 'x-datadog-trace-count': `${count}` }
    const response = await fetch(`${this.url}/v0.4/traces`, { method: 'PUT', headers, body: traces })
    return { status: response.status, text: await response.text() }
  }
}
