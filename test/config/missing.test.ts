import { expect, test } from 'vitest'
import { components } from '../support/components.ts'
import { around, errorsOf } from './toys.ts'

const set = '(set it, or give a default: `${env:X:-default}`)'
const unset = 'the environment variable `X` is not set'

test.each([
  [
    'an address',
    'exporters: {debug: , otlp_http: {endpoint: "${env:X}"}}',
    `4:45 exporters::otlp_http::endpoint: ${unset}: must not be empty ${set}`,
  ],
  [
    'a choice, which says so itself',
    'exporters: {debug: {verbosity: "${env:X}"}}',
    `4:33 exporters::debug::verbosity: expected one of \`basic\`, \`normal\`, \`detailed\`, got nothing: ${unset} ${set}`,
  ],
  [
    'a section without which something is missing',
    'exporters: {debug: , otlp_http: "${env:X}"}',
    `4:22 exporters::otlp_http: ${unset}: \`endpoint\` is required ${set}`,
  ],
  [
    'a section that a variable with a whole one in it brings',
    'exporters: {debug: , otlp_http: "${env:WHOLE}"}',
    '4:34 exporters::otlp_http: unknown key `endpont` (did you mean `endpoint`?)',
  ],
])('of %s the error says that the variable is not set', (_, sections, error) => {
  expect(errorsOf(around(sections), { env: { WHOLE: '{endpont: "${env:X}"}' } })).toContainEqual(error)
})

test.each([
  [
    'an id in a list of a pipeline',
    'receivers: ["${env:X}"], exporters: [debug]',
    `service::pipelines::traces::receivers: ${unset}: what \`\${env:X}\` stands for is no id of a component ${set}`,
  ],
  [
    'a part of one',
    'receivers: [otlp], exporters: ["debug/${env:X}"]',
    `service::pipelines::traces::exporters: ${unset}: what \`debug/\${env:X}\` stands for is no id of a component ${set}`,
  ],
  [
    'all of a list',
    'receivers: [otlp], exporters: "${env:X}"',
    `service::pipelines::traces: ${unset}: must have at least one exporter ${set}`,
  ],
])('of %s the error says that the variable is not set', (_, pipeline, error) => {
  expect(errorsOf(around('', pipeline)).map(told => told.replace(/^\S+ /, ''))).toContainEqual(error)
})

const build = (processor: string, env: NodeJS.ProcessEnv = {}) =>
  errorsOf(
    `receivers: {otlp: {protocols: {grpc: }}}
processors: {${processor}}
exporters: {debug: }
service: {pipelines: {traces: {receivers: [otlp], processors: [${processor.split(':', 1)[0]}], exporters: [debug]}}}`,
    { components, env },
  )

test.each([
  [
    'probabilistic_sampler: {sampling_percentage: "${env:X}"}',
    '2:60 processors::probabilistic_sampler::sampling_percentage',
  ],
  ['namespace_filter: {include: "${env:X}"}', '2:43 processors::namespace_filter::include'],
  ['namespace_filter: {exclude: [a, "${env:X}"]}', '2:47 processors::namespace_filter::exclude[1]'],
])('where a value decides what is dropped, a variable that is not set is an error: %s', (processor, at) => {
  expect(build(processor)).toEqual([`${at}: ${unset}, and this decides what is dropped ${set}`])
  expect(build(processor, { X: '10' })).toEqual([])
  expect(build(processor.replace('env:X', 'env:X:-10'))).toEqual([])
})
