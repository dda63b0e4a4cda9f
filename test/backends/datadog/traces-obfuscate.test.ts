import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Obfuscator, redisCommands } from '../../../backends/datadog/traces-obfuscate.ts'

function obfuscated(statement: string): string {
  const obfuscator = new Obfuscator()
  const bytes = Buffer.from(statement)
  obfuscator.sql(bytes, 0, bytes.length)
  return obfuscator.out.bytes.toString('utf8', 0, obfuscator.out.at)
}

test.each([
  ['SELECT * FROM users WHERE id = 42', 'SELECT * FROM users WHERE id = ?'],
  ["select a\n\t, b from t where name='O''Brien' and x >= -1.5e-3", 'select a , b from t where name=? and x >= -?'],
  ['INSERT INTO t (a, b) VALUES (1, 2), (3, 4);', 'INSERT INTO t (a, b) VALUES (?), (?)'],
  ["SELECT 'it\\'s secret', 1", 'SELECT ?'],
  ["SELECT 'C:\\', 'secret'", 'SELECT ?'],
  ['SELECT a -- 4711 secret\nFROM t /* 4712 */ WHERE b = 1 # 3', 'SELECT a FROM t WHERE b = ?'],
  ['SELECT "Col" FROM "my table"."x" WHERE `a b` = "secret"', 'SELECT "Col" FROM "my table"."x" WHERE `a b` = ?'],
  ['SELECT $1, $2 WHERE a = $tag$secret; $$ 5 $tag$', 'SELECT ? WHERE a = ?'],
  ['SELECT t1.c2, 0xDEAD, .5 FROM t1', 'SELECT t1.c2, ? FROM t1'],
  ['SELECT * FROM t WHERE id IN (1, 2, 3)', 'SELECT * FROM t WHERE id IN (?)'],
  ["a = 'secret", 'Non-parsable SQL query'],
  ['a = 1 /* secret', 'Non-parsable SQL query'],
  ['SELECT ü FROM größe', 'SELECT ü FROM größe'],
  ['', ''],
  ['   ', ''],
])('%s becomes %s', (statement, expected) => {
  expect(obfuscated(statement)).toBe(expected)
})

test('whatever stands in quotes does not leave, whatever is around it', () => {
  const part = fc.oneof(
    fc.constantFrom('SELECT', 'a', ',', ' ', '(', ')', '=', '--', '/*', '*/', '\n', '$', '"', '`', '\\', '1', '.', ';'),
    fc.string({ maxLength: 4 }).filter(text => !/['\\$"`#/-]/.test(text)),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.array(part, { maxLength: 8 }), (before, after) => {
      const found = obfuscated(`${before.join('')} = 'SECRET' ${after.join('')}`)
      expect(found.length).toBeLessThan(200)
      // Behind what opens a name in quotes it is a name.
      if (!/["`]/.test(before.join(''))) expect(found).not.toContain('SECRET')
    }),
    { numRuns: 2000 },
  )
})

test('a statement that was taken before is not taken again; another is', () => {
  const obfuscator = new Obfuscator()
  const bytes = Buffer.from('a = 1 b = 2')
  const at = (start: number, end: number): string => {
    obfuscator.sql(bytes, start, end)
    return obfuscator.out.bytes.toString('utf8', 0, obfuscator.out.at)
  }
  expect([at(0, 5), at(0, 5), at(6, 11), at(0, 11)]).toEqual(['a = ?', 'a = ?', 'b = ?', 'a = ? b = ?'])
})

test.each([
  ['set key secret', 'SET'],
  ['GET a\nSET b secret\n', 'GET SET'],
  ['config set requirepass secret', 'CONFIG SET'],
  ['GET a\nGET b\nGET c\nGET d', 'GET GET GET ...'],
  ['MULTI\n\n  EXEC ', 'MULTI EXEC'],
  ['', ''],
])('of a Redis request %j only %j is left', (request, expected) => {
  const bytes = Buffer.from(request)
  expect(redisCommands(bytes, 0, bytes.length)).toBe(expected)
})
