/** The commands about configurations as a user meets them: a process, its output, its exit code. */
import { expect, test } from 'vitest'
import { kymo } from '../support/command.ts'

const gateway = 'examples/gateway.yaml'
const config = (exporter: string) =>
  `yaml:{receivers: {otlp: {protocols: {grpc: }}}, exporters: {nop: ${exporter}}, service: {pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}}`
const storage = (directory: string) =>
  `yaml:{receivers: {otlp: {protocols: {grpc: }}}, exporters: {nop: {}}, extensions: {file_storage: {directory: /${directory}}}, service: {extensions: [file_storage], pipelines: {logs: {receivers: [otlp], exporters: [nop]}}}}`
const withToken =
  "yaml:{receivers: {otlp: {protocols: {grpc: }}}, exporters: {otlp_grpc: {endpoint: 'a:1', headers: {x: '${env:TOKEN}'}}}, service: {pipelines: {logs: {receivers: [otlp], exporters: [otlp_grpc]}}}}"

test.concurrent.each<[string, string[], number, string | RegExp]>([
  ['equal configurations end with 0 and no output', ['diff', gateway, gateway], 0, /^$/],
  [
    'different ones end with 1',
    ['diff', gateway, 'examples/agent.yaml'],
    1,
    /^~ receivers::otlp\n[^]*A reload would:\n[^]*restart/,
  ],
  [
    'what only a restart takes up is told',
    ['diff', config('{}'), `${config('{}').slice(0, -2)}, telemetry: {metrics: {level: none}}}}`],
    1,
    /A reload would restart nothing\.\nservice::telemetry::metrics takes effect when the process starts again/,
  ],
  [
    'what a reload would refuse is told',
    ['diff', storage('a'), storage('b')],
    1,
    /A reload would be refused, and change nothing: extension file_storage cannot change/,
  ],
  ['wrong ones end with 2', ['diff', gateway, config('{x: 1}')], 2, /^$/],
  ['differences come as JSON', ['diff', '--json', gateway, gateway], 0, /"same": true/],
  ['the list of components', ['components'], 0, /otlp_grpc \(otlp\)/],
  [
    'a configuration as it takes effect',
    ['print-config', '-c', gateway, '--origin'],
    0,
    /limit_percentage: 80 # examples\/gateway.yaml:34:23/,
  ],
  [
    'by the older name of the command',
    ['print-initial-config', '--validate=true', '--format', 'json', '-c', withToken],
    0,
    /"x": "\$\{env:TOKEN\}"/,
  ],
  ['with secrets', ['print-config', '--mode', 'unredacted', '-c', withToken], 0, /x: hunter2/],
  ['a wrong configuration is not printed', ['print-config', '-c', config('{x: 1}')], 1, /^$/],
  ['the schema of files', ['schema'], 0, /^\{\n {2}"\$schema": "https:\/\/json-schema.org\/draft\/2020-12\/schema"/],
  ['the schema of one component', ['schema', 'batch'], 0, /"title": "processor batch"/],
  ['no schema of a component that is not there', ['schema', 'bacth'], 1, /^$/],
  ['one feature gate', ['featuregate', 'service.profilesSupport', '--json'], 0, /"stage": "alpha"/],
  ['no feature gate of that name', ['featuregate', 'service.profilesSuport'], 1, /^$/],
  ['a script for completion', ['completion', 'bash'], 0, /complete .*-F _kymo kymo/],
])('%s', async (_, args, code, output) => {
  const result = await kymo(args, { TOKEN: 'hunter2' })
  expect(result.out).toMatch(output)
  expect(result.code).toBe(code)
  if (code !== 0 && output.toString() === '/^$/') expect(result.err).not.toBe('')
  if (!args.includes('unredacted')) expect(result.out + result.err).not.toContain('hunter2')
})

test.concurrent('gates are accepted, with what they mean here', async () => {
  const { code, err } = await kymo([
    'validate',
    '--config',
    gateway,
    '--feature-gates=-service.profilesSupport,service.partialReload',
  ])
  expect(code).toBe(0)
  expect(err.split('\n')[0]).toContain('profiles are not supported yet')
  expect(err.split('\n')[1]).toContain('restarts only what changed')
})

test.concurrent.each(['run', 'validate'])('%s: an unknown gate is an error', async command => {
  const { code, err } = await kymo([command, '--config', gateway, '--feature-gates', 'service.profilSupport'])
  expect(code).toBe(1)
  expect(err).toContain('did you mean `service.profilesSupport`?')
})
