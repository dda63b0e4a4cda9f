import { chmod, chown, lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { clearSocketPlace, privately } from '../../net/unix-socket.ts'

let folder = ''
let path = ''
const open: (() => unknown)[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kymo-'))
  path = join(folder, 'admin.sock')
})
afterEach(async () => {
  for (const close of open.splice(0)) await close()
  await rm(folder, { recursive: true, force: true })
})

async function listen(at = path): Promise<void> {
  const server = createServer(socket => socket.destroy())
  open.push(() => server.close())
  privately(() => server.listen({ path: at }))
  await once(server, 'listening')
}

/** A socket whose process was killed. */
async function leaveBehind(): Promise<void> {
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
}
const clear = () => clearSocketPlace(path, 'test')

describe.skipIf(process.platform === 'win32')('the place of a socket', () => {
  test('is made where it is not there, and the socket is only for this user', async () => {
    path = join(folder, 'run', 'admin.sock')
    await clear()
    await listen(path)
    expect([(await lstat(path)).mode & 0o777, (await lstat(join(folder, 'run'))).mode & 0o777]).toEqual([0o600, 0o700])
  })

  test('is cleared of what a killed process has left', async () => {
    await leaveBehind()
    expect((await lstat(path)).isSocket()).toBe(true)
    await clear()
    await listen()
  })

  test('is not taken from a process that listens', async () => {
    await listen()
    await expect(clear()).rejects.toThrow(`test: cannot listen on unix:${path}: another process listens there`)
  })

  test('is not cleared of what is no socket', async () => {
    await writeFile(path, 'dear')
    await expect(clear()).rejects.toThrow('is no socket; remove it')
    expect(await readFile(path, 'utf8')).toBe('dear')
  })

  test('is not cleared through a link', async () => {
    const victim = join(folder, 'victim')
    await writeFile(victim, 'dear')
    await symlink(victim, path)
    await expect(clear()).rejects.toThrow('is no socket; remove it')
    expect([(await lstat(path)).isSymbolicLink(), await readFile(victim, 'utf8')]).toEqual([true, 'dear'])
  })

  test('is not in a directory that everybody can write to', async () => {
    await chmod(folder, 0o777)
    await expect(clear()).rejects.toThrow(/is not used: everybody on this machine can write there: `chmod o-w/)
  })

  test.skipIf(process.geteuid?.() !== 0)('is not that of another user', async () => {
    await leaveBehind()
    await chown(path, 12_345, 12_345)
    await expect(clear()).rejects.toThrow('the socket there belongs to user 12345')
  })

  test('has a path that the system has room for', async () => {
    path = join(folder, 'x'.repeat(100))
    await expect(clear()).rejects.toThrow(/the path is longer than 10\d bytes; choose another/)
  })

  test('cannot be below a file', async () => {
    await writeFile(path, '')
    path = join(path, 'admin.sock')
    await expect(clear()).rejects.toThrow(/test: cannot listen on unix:.*(?:EEXIST|ENOTDIR)/)
    await mkdir(join(folder, 'other'))
  })
})
