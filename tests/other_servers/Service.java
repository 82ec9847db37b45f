import java.io.File;
import org.eclipse.jgit.lib.Repository;
import org.eclipse.jgit.storage.file.FileRepositoryBuilder;
import org.eclipse.jgit.transport.ReceivePack;
import org.eclipse.jgit.transport.UploadPack;

/** JGit's upload-pack or receive-pack for one repository, on standard input and output. */
public class Service {
    public static void main(String[] arguments) throws Exception {
        File directory = new File(arguments[1]);
        Repository repository = new FileRepositoryBuilder().setGitDir(directory).setBare().build();
        if (arguments[0].equals("git-upload-pack")) {
            new UploadPack(repository).upload(System.in, System.out, System.err);
        } else {
            new ReceivePack(repository).receive(System.in, System.out, System.err);
        }
    }
}
