import { isAbsolute } from 'node:path';
import { ShoalError } from '../common/errors.js';
import { isLoopback } from '../common/loopback.js';
import { hostPort, readConfig } from './config.js';

const problemsOf = (env: NodeJS.ProcessEnv): string => {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ShoalError && error.code === 'invalid') return error.message;
    throw error;
  }
  return '';
};

describe('readConfig', () => {
  test('has a default for everything on one machine', () => {
    const config = readConfig({ SHOAL_PEER_NAME: 'peer-1' });
    expect(config).toMatchObject({
      peerName: 'peer-1',
      listenAddress: '127.0.0.1',
      grpcPort: 4999,
      httpPort: 5001,
      indexUrl: 'http://127.0.0.1:5000',
      quotaBytes: 0,
      replicas: 1,
      isLoginRequired: false,
      hasLoopbackAccess: true,
      drainSeconds: 25,
      waitSeconds: 60,
      logLevel: 'info',
      advertiseAddress: undefined,
    });
    expect(isAbsolute(config.dataDir)).toBe(true);
    expect(config.shareDir).toBe(`${config.dataDir}/share`);
    expect(config.socketPath).toBe(`${config.dataDir}/control.sock`);
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('takes all of TLS or nothing of it', () => {
    const tls = { SHOAL_TLS_CERT_FILE: '/t/tls.crt', SHOAL_TLS_KEY_FILE: '/t/tls.key', SHOAL_TLS_CA_FILE: '/t/ca.crt' };
    expect(readConfig({}).tls).toBeUndefined();
    expect(readConfig(tls).tls).toEqual({ certFile: '/t/tls.crt', keyFile: '/t/tls.key', caFile: '/t/ca.crt' });
    expect(problemsOf({ ...tls, SHOAL_TLS_CA_FILE: '' })).toContain(
      'SHOAL_TLS_CA_FILE must be set as well as SHOAL_TLS_CERT_FILE and SHOAL_TLS_KEY_FILE: TLS needs all three',
    );
    expect(problemsOf({ SHOAL_TLS_KEY_FILE: '/k' })).toContain(
      'SHOAL_TLS_CERT_FILE and SHOAL_TLS_CA_FILE must be set as well as SHOAL_TLS_KEY_FILE',
    );
  });

  test('takes what is set, zero included', () => {
    const config = readConfig({
      SHOAL_DATA_DIR: '/tmp/d',
      SHOAL_SHARE_DIR: '/tmp/s',
      SHOAL_SOCKET: '/tmp/c.sock',
      SHOAL_PEER_NAME: 'p',
      SHOAL_ADVERTISE_ADDRESS: 'p.peers.ns.svc:4999',
      SHOAL_LISTEN_ADDRESS: '0.0.0.0',
      SHOAL_GRPC_PORT: '0',
      SHOAL_HTTP_PORT: '8080',
      SHOAL_INDEX_URL: 'http://index:5000/',
      SHOAL_JOIN_SECRET_FILE: '/run/secret',
      SHOAL_QUOTA_BYTES: '2Gi',
      SHOAL_RESERVE_BYTES: '0',
      SHOAL_REPLICAS: '2',
      SHOAL_REQUIRE_LOGIN: 'true',
      SHOAL_LOOPBACK_ACCESS: 'false',
      SHOAL_DRAIN_SECONDS: '0',
      SHOAL_LOG_LEVEL: 'debug',
      SHOAL_WAIT_SECONDS: '0',
      SHOAL_HAND_OVER: 'scale-down',
      SHOAL_HAND_OVER_SECONDS: '0',
    });
    expect(config).toEqual({
      dataDir: '/tmp/d',
      shareDir: '/tmp/s',
      socketPath: '/tmp/c.sock',
      peerName: 'p',
      advertiseAddress: 'p.peers.ns.svc:4999',
      listenAddress: '0.0.0.0',
      grpcPort: 0,
      httpPort: 8080,
      indexUrl: 'http://index:5000',
      joinSecretFile: '/run/secret',
      quotaBytes: 2 * 1024 ** 3,
      reserveBytes: 0,
      replicas: 2,
      isLoginRequired: true,
      hasLoopbackAccess: false,
      drainSeconds: 0,
      handOver: 'scale-down',
      handOverSeconds: 0,
      waitSeconds: 0,
      logLevel: 'debug',
    });
  });

  test('tells all problems at once', () => {
    const problems = problemsOf({
      SHOAL_PEER_NAME: 'Not A Name',
      SHOAL_GRPC_PORT: '70000',
      SHOAL_QUOTA_BYTES: 'lots',
      SHOAL_LISTEN_ADDRESS: '0.0.0.0',
      SHOAL_LOG_LEVEL: 'loud',
    });
    for (const name of ['PEER_NAME', 'GRPC_PORT', 'QUOTA_BYTES', 'ADVERTISE_ADDRESS', 'LOG_LEVEL']) {
      expect(problems).toContain(`SHOAL_${name}`);
    }
  });

  test('refuses an advertised address that nobody can dial', () => {
    expect(problemsOf({ SHOAL_PEER_NAME: 'p', SHOAL_ADVERTISE_ADDRESS: 'p' })).toContain("'p', not host:port");
  });

  test('refuses a socket path that the system would cut off', () => {
    const folder = (bytes: number) => `/tmp/${'x'.repeat(bytes - '/tmp//control.sock'.length)}`;
    expect(problemsOf({ SHOAL_PEER_NAME: 'p', SHOAL_DATA_DIR: folder(107) })).toBe('');
    const tooLong = problemsOf({ SHOAL_PEER_NAME: 'p', SHOAL_DATA_DIR: folder(108) });
    expect(tooLong).toContain('SHOAL_SOCKET');
    expect(tooLong).toContain('107 bytes');
  });
});

test('only addresses of this machine are loopback', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true);
  expect(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.org'].some(isLoopback)).toBe(false);
});

test('an IPv6 address gets brackets before its port', () => {
  expect(hostPort('::1', 5)).toBe('[::1]:5');
  expect(hostPort('127.0.0.1', 5)).toBe('127.0.0.1:5');
});
