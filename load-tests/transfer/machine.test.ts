import { tmpdir } from 'node:os';
import { describeMachine, mountOf } from './machine.js';

const MOUNTS = `
/dev/vda / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vdb /tmp/with\\040space xfs rw 0 0
overlay /tmp/with\\040space overlay rw 0 0
`;

describe('mountOf', () => {
  test('finds the mount that is nearest above a path', () => {
    expect(mountOf('/tmp/x', MOUNTS)).toEqual({ type: 'tmpfs', device: 'tmpfs' });
    expect(mountOf('/tmp', MOUNTS).type).toBe('tmpfs');
  });

  test('does not take a folder for one whose name it begins with', () => {
    expect(mountOf('/tmpfiles', MOUNTS)).toEqual({ type: 'ext4', device: '/dev/vda' });
  });

  test('takes the last of several on one folder, and reads names with spaces', () => {
    expect(mountOf('/tmp/with space/x', MOUNTS)).toEqual({ type: 'overlay', device: 'overlay' });
  });

  test('says when it does not know', () => {
    expect(mountOf('/x', '')).toEqual({ type: 'unknown file system', device: 'unknown device' });
  });
});

(process.platform === 'linux' ? test : test.skip)('describes this machine', async () => {
  const text = await describeMachine(tmpdir());
  expect(text).toMatch(/^\d+ cores \(.*SHA instructions\), \d+ GiB of memory, .* on .*, Linux .*, Node /);
  expect(text).toContain(process.versions.node);
});
