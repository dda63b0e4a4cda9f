import { expect, test } from 'vitest'
import { headers } from '../../net/client-keys.ts'

const schema = headers(/^te$/i)
const complaints = (given: unknown) =>
  (schema.safeParse(given).error?.issues ?? []).map(({ path, message }) => [path, message])

test.each([
  ['authorization', ''],
  ['Authorization', ' '],
  ['Authorization', 'Bearer '],
  ['authorization', 'Basic'],
  ['Proxy-Authorization', 'bearer'],
  ['X-API-Key', ''],
  ['api-key', '\t'],
  ['DD-API-KEY', ''],
  ['x-honeycomb-team', ''],
  ['lightstep-access-token', ' '],
  ['X-Auth', ''],
])('the header %s: %j has no credential in it, which is told at its place', (name, value) => {
  const found = complaints({ other: 'a', [name]: value })
  expect(found).toEqual([
    [[name], expect.stringContaining(`\`${name}\`: it is empty, and an empty credential is none`)],
  ])
  expect(complaints([{ name, value }])).toEqual(found)
})

test.each([
  ['authorization', 'Bearer abc'],
  ['authorization', 'abc'],
  ['X-API-Key', 'bearer'],
  ['x-monkey', ''],
  ['user-agent', ''],
  ['x-team-name', ''],
])('the header %s: %j is taken', (name, value) => {
  expect(complaints({ [name]: value })).toEqual([])
})
