/** A Python with the OpenTelemetry SDK and grpcio, where it can be had. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const packages = [
  'grpcio',
  'opentelemetry-sdk',
  'opentelemetry-exporter-otlp-proto-grpc',
  'opentelemetry-exporter-otlp-proto-http',
]
const check = 'import grpc, opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.grpc.trace_exporter'

/**
 * Path of an interpreter with the packages, or why there is none. `KYMO_TEST_PYTHON` names one; otherwise an environment
 * is made in the directory for temporary files, once.
 */
export async function findPython(): Promise<{ path: string } | { missing: string }> {
  const given = process.env['KYMO_TEST_PYTHON']
  const folder = join(tmpdir(), 'kymo-e2e-python')
  const path = given ?? join(folder, 'bin/python')
  try {
    if (!existsSync(path)) {
      await run('python3', ['-m', 'venv', folder])
      await run(path, ['-m', 'pip', 'install', '--quiet', ...packages], { timeout: 240_000 })
    }
    await run(path, ['-c', check])
    return { path }
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n').slice(0, 2).join(' ') : String(error)
    return { missing: `no Python with the OpenTelemetry SDK: ${reason}` }
  }
}

/** Runs a script of test/e2e/python to its end; rejects with what it said when it fails. */
export async function runScript(python: string, script: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(python, [scriptPath(script), ...args], { timeout: 60_000 })
  return stdout
}

const scriptPath = (script: string) => join(import.meta.dirname, '../e2e/python', script)

/** A script that runs until it is told to stop, and writes a line of JSON for whatever it has to say. */
export interface Script {
  readonly child: ChildProcess
  readonly lines: Record<string, unknown>[]
  stop(): Promise<void>
}

/** Starts a script and waits for its first line. */
export async function startScript(python: string, script: string, args: readonly string[]): Promise<Script> {
  const child = spawn(python, [scriptPath(script), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: Record<string, unknown>[] = []
  const ended = new Promise<void>(resolve => child.on('close', () => resolve()))
  let text = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', chunk => {
      text += String(chunk)
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        lines.push(JSON.parse(text.slice(0, end)) as Record<string, unknown>)
        text = text.slice(end + 1)
      }
      if (lines.length > 0) resolve()
    })
    void ended.then(() => reject(new Error(`${script} ended before it said anything`)))
  })
  return {
    child,
    lines,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}
