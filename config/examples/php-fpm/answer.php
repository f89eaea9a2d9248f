<?php echo "php-fpm\n";
